package oidc

import (
	"net/url"
	"regexp"
	"strings"
)

// entraIssuer maps the hosts of Entra's issuers to what the older form (v1) of their
// issuers begins with. Entra's tokens for an API are of that form unless the API asks for
// the newer one.
var entraIssuer = map[string]string{
	"login.microsoftonline.com":        "https://sts.windows.net/",
	"login.microsoftonline.us":         "https://sts.windows.net/",
	"login.partner.microsoftonline.cn": "https://sts.chinacloudapi.cn/",
}

// isEntra reports whether an issuer is Microsoft Entra ID, in either form.
func isEntra(u *url.URL) bool {
	_, found := entraIssuer[strings.ToLower(u.Hostname())]
	return found || isEntraV1(u)
}

func isEntraV1(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	return host == "sts.windows.net" || host == "sts.chinacloudapi.cn"
}

// entraHost returns the host that u's issuer should have.
func entraHost(u *url.URL) string {
	if host := strings.ToLower(u.Hostname()); !isEntraV1(u) {
		return host
	}
	return "login.microsoftonline.com"
}

var tenantPath = regexp.MustCompile(`^/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/v2\.0$`)

// tenant returns the tenant of an issuer of Entra, "" if it is not that of one.
func tenant(u *url.URL) string {
	found := tenantPath.FindStringSubmatch(u.Path)
	if found == nil || !isEntra(u) || isEntraV1(u) || u.Port() != "" || u.Scheme != "https" {
		return ""
	}
	return found[1]
}

// foreign maps audiences to the services of Microsoft that they are. Nobody else can check
// their tokens: those for Graph have a nonce in the header, without which the signature
// does not fit.
var foreign = map[string]string{
	"00000003-0000-0000-c000-000000000000":    "Microsoft Graph",
	"https://graph.microsoft.com":             "Microsoft Graph",
	"https://graph.microsoft.us":              "Microsoft Graph",
	"https://microsoftgraph.chinacloudapi.cn": "Microsoft Graph",
	"00000002-0000-0000-c000-000000000000":    "Azure AD Graph",
	"https://graph.windows.net":               "Azure AD Graph",
	"00000002-0000-0ff1-ce00-000000000000":    "Outlook",
	"https://outlook.office365.com":           "Outlook",
	"https://outlook.office.com":              "Outlook",
	"https://outlook.com":                     "Outlook",
	"https://ps.outlook.com":                  "Outlook",
}
