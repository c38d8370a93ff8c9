package aliyunapi

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// percent encodes as RFC 3986 section 2.3 has it, which both signatures build on.
func percent(s string) string {
	return strings.NewReplacer("+", "%20", "*", "%2A", "%7E", "~").Replace(url.QueryEscape(s))
}

// canonicalQuery is all parameters in the order of their names.
func canonicalQuery(all values) string {
	pairs := make([]string, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		pairs = append(pairs, percent(name)+"="+percent(all[name]))
	}
	return strings.Join(pairs, "&")
}

// rpcStringToSign is what signature version 1.0 is made over: every parameter
// of the query and of the form body but the signature itself. The path in it is
// always "/".
func rpcStringToSign(method string, all values) string {
	signed := maps.Clone(all)
	delete(signed, "Signature")
	return method + "&%2F&" + percent(canonicalQuery(signed))
}

// acs3Request is what the third signature is made over, before it is hashed.
func acs3Request(r *http.Request, query values, signed []string, payload string) string {
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	path = strings.NewReplacer("+", "%20", "*", "%2A", "%7E", "~").Replace(path)
	var headers strings.Builder
	for _, name := range signed {
		headers.WriteString(name + ":" + headerValue(r, name) + "\n")
	}
	return strings.Join([]string{r.Method, path, canonicalQuery(query), headers.String(), strings.Join(signed, ";"), payload}, "\n")
}

// headerValue is a header as it is signed.
func headerValue(r *http.Request, name string) string {
	if name == "host" {
		return r.Host
	}
	return strings.TrimSpace(r.Header.Get(name))
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
