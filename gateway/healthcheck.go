package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// healthTimeout is below the timeouts of container engines.
const healthTimeout = 5 * time.Second

// healthcheck requests /readyz of the gateway that runs with this configuration.
func (a app) healthcheck(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if port == "0" {
		return errors.New("admin.address has port 0: which port it got is not known here")
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() { // all addresses, including this one
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	client := http.Client{Timeout: healthTimeout, Transport: &http.Transport{Proxy: nil}}
	response, err := client.Get("http://" + net.JoinHostPort(host, port) + "/readyz")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	why := make([]byte, 200)
	n, _ := response.Body.Read(why) // the status decides; the body is the reason
	fmt.Fprintln(a.out, strings.TrimSpace(string(why[:n])))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", response.Status)
	}
	return nil
}
