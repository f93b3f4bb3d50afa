package index

// The kinds of defects.
const (
	DefectHeader       = "header"        // a header that is malformed or too long; the rest is kept
	DefectAddress      = "address"       // an address field that cannot be parsed in full
	DefectDate         = "date"          // a Date that is none
	DefectContentType  = "content_type"  // a Content-Type that cannot be parsed
	DefectDisposition  = "disposition"   // likewise a Content-Disposition
	DefectEncoding     = "encoding"      // a transfer encoding that is unknown or broken
	DefectCharset      = "charset"       // a charset that is unknown or does not fit the text
	DefectBoundary     = "boundary"      // a multipart without a boundary, or without its end
	DefectDepth        = "depth"         // nested too deeply; what is below was not read
	DefectParts        = "parts"         // too many parts; the rest was not read
	DefectCut          = "cut"           // a text was cut to its bound
	DefectTermsLeftOut = "terms_omitted" // it has more terms than are kept
)
