package aliyunapi

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"slices"
	"strings"
	"time"

	"causeway/internal/control/auth"
	"causeway/internal/resource"
)

// window is how far a request's timestamp may be from our clock, to both sides.
const window = 15 * time.Minute

const timeLayout = "2006-01-02T15:04:05Z"

// Identify finds who has an access key, and its secret.
type Identify func(ctx context.Context, id string) (auth.Caller, []byte, error)

// signatures judges who sent a request.
type signatures struct {
	identify Identify
	now      func() time.Time
	seen     *nonces
}

// claim is what a request says about itself and its signature.
type claim struct {
	action, version string
	key             string // the access key's ID
	timestamp       string
	nonce           string
	text            string // what was signed
	verify          func(secret []byte) bool
}

// caller returns who sent r, and what the request asks for. The order matters: a
// nonce is noted only when the signature is right, so that nobody without a key
// can fill the memory of nonces.
func (s *signatures) caller(r *http.Request, query, all values, body []byte) (auth.Caller, claim, error) {
	var c claim
	var err error
	if authorization := r.Header.Values("Authorization"); len(authorization) > 0 {
		c, err = acs3Claim(r, authorization, query, all, body)
	} else {
		c, err = rpcClaim(r, all)
	}
	if err != nil {
		return auth.Caller{}, c, err
	}
	at, err := time.Parse(timeLayout, c.timestamp)
	if err != nil {
		return auth.Caller{}, c, refuse("InvalidTimeStamp.Format", "the timestamp is %q; allowed: UTC as in 2026-01-31T23:59:59Z", clip(c.timestamp))
	}
	now := s.now()
	if at.Before(now.Add(-window)) || at.After(now.Add(window)) {
		return auth.Caller{}, c, refuse("InvalidTimeStamp.Expired", "the timestamp is %s and the clock here says %s; they may be 15 minutes apart", c.timestamp, now.UTC().Format(timeLayout))
	}
	if len(c.nonce) == 0 || len(c.nonce) > 128 {
		return auth.Caller{}, c, refuse("MissingParameter", "the signature's nonce must have 1 to 128 characters")
	}
	caller, secret, err := s.identify(r.Context(), c.key)
	if resource.CodeOf(err) == resource.CodeUnauthenticated {
		return auth.Caller{}, c, refuse("InvalidAccessKeyId.NotFound", "no access key in use has the ID %s; make one with causeway access-key create", clip(c.key))
	}
	if err != nil {
		return auth.Caller{}, c, err
	}
	if !c.verify(secret) {
		return auth.Caller{}, c, refuse("SignatureDoesNotMatch", "the signature is not the one that the key's secret makes. server string to sign is:%s", c.text)
	}
	switch fresh, room := s.seen.add(c.key, c.nonce, at.Add(window), now); {
	case !fresh:
		return auth.Caller{}, c, refuse("SignatureNonceUsed", "a request with this nonce was here before; sign every request anew")
	case !room:
		return auth.Caller{}, c, refuse("Throttling.User", "too many requests within %v", window)
	}
	return caller, c, nil
}

// rpcClaim reads signature version 1.0, whose parts are parameters.
func rpcClaim(r *http.Request, all values) (claim, error) {
	c := claim{action: all["Action"], version: all["Version"], key: all["AccessKeyId"], timestamp: all["Timestamp"], nonce: all["SignatureNonce"]}
	signature := all["Signature"]
	var digest func() hash.Hash
	switch {
	case all["SecurityToken"] != "" || r.Header.Get("x-acs-security-token") != "":
		return c, noSecurityTokens()
	case all["BearerToken"] != "" || all["SignatureType"] != "":
		return c, refuse("IncompleteSignature", "SignatureType is %q; allowed: none, as requests are signed with an access key", clip(all["SignatureType"]))
	case c.key == "":
		return c, refuse("MissingAccessKeyId", "the request does not say who sends it: AccessKeyId is missing")
	case signature == "":
		return c, refuse("IncompleteSignature", "the request is not signed: Signature is missing")
	case all["SignatureVersion"] != "1.0":
		return c, refuse("IncompleteSignature", "SignatureVersion is %q; allowed: 1.0", clip(all["SignatureVersion"]))
	}
	switch all["SignatureMethod"] {
	case "HMAC-SHA1":
		digest = sha1.New
	case "HMAC-SHA256":
		digest = sha256.New
	default:
		return c, refuse("IncompleteSignature", "SignatureMethod is %q; allowed: HMAC-SHA1, HMAC-SHA256", clip(all["SignatureMethod"]))
	}
	for header, said := range map[string]string{"x-acs-action": c.action, "x-acs-version": c.version} {
		if other := r.Header.Get(header); other != "" && other != said {
			return c, refuse("InvalidParameter", "the header %s says something else than the parameter", header)
		}
	}
	c.text = rpcStringToSign(r.Method, all)
	c.verify = func(secret []byte) bool {
		mac := hmac.New(digest, append(slices.Clone(secret), '&'))
		mac.Write([]byte(c.text))
		// The text is compared, not what it decodes to: decoders pass over line breaks.
		return hmac.Equal([]byte(base64.StdEncoding.EncodeToString(mac.Sum(nil))), []byte(signature))
	}
	return c, nil
}

// acs3 is the third signature's algorithm, and the only one of its family here.
const acs3 = "ACS3-HMAC-SHA256"

// mustSign are the headers without which the third signature says too little.
var mustSign = []string{"host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"}

// acs3Claim reads the third signature, whose parts are headers.
func acs3Claim(r *http.Request, authorization []string, query, all values, body []byte) (claim, error) {
	c := claim{action: r.Header.Get("x-acs-action"), version: r.Header.Get("x-acs-version"), timestamp: r.Header.Get("x-acs-date"), nonce: r.Header.Get("x-acs-signature-nonce")}
	algorithm, rest, _ := strings.Cut(authorization[0], " ")
	if len(authorization) != 1 || algorithm != acs3 {
		return c, refuse("IncompleteSignature", "the header Authorization begins with %q; allowed: %s, once", clip(algorithm), acs3)
	}
	if r.Header.Get("x-acs-security-token") != "" || all["SecurityToken"] != "" {
		return c, noSecurityTokens()
	}
	for _, name := range []string{"Signature", "SignatureMethod", "SignatureVersion", "SignatureType", "AccessKeyId", "BearerToken"} {
		if _, has := all[name]; has {
			return c, refuse("IncompleteSignature", "the request is signed by its headers and has the parameter %s as well; allowed: one of the two", name)
		}
	}
	parts := map[string]string{}
	for _, part := range strings.Split(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := parts[name]; !ok || twice {
			return c, refuse("IncompleteSignature", "the header Authorization must have Credential, SignedHeaders and Signature, each once")
		}
		parts[name] = value
	}
	c.key = parts["Credential"]
	given, err := hex.DecodeString(parts["Signature"])
	signed := strings.Split(parts["SignedHeaders"], ";")
	if c.key == "" || err != nil || len(given) != sha256.Size || len(parts) != 3 {
		return c, refuse("IncompleteSignature", "the header Authorization must have Credential, SignedHeaders and Signature, each once")
	}
	if err := judgeSigned(r, signed, len(body) > 0); err != nil {
		return c, err
	}
	if payload := r.Header.Get("x-acs-content-sha256"); payload != hexSHA256(body) {
		return c, refuse("SignatureDoesNotMatch", "x-acs-content-sha256 is not the hash of the body. server string to sign is:%s", "")
	}
	for name, said := range map[string]string{"Action": c.action, "Version": c.version} {
		if other, has := all[name]; has && other != said {
			return c, refuse("InvalidParameter", "the parameter %s says something else than the header", name)
		}
	}
	c.text = acs3 + "\n" + hexSHA256([]byte(acs3Request(r, query, signed, hexSHA256(body))))
	c.verify = func(secret []byte) bool {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(c.text))
		return hmac.Equal(mac.Sum(nil), given)
	}
	return c, nil
}

// judgeSigned refuses a list of signed headers that leaves out one of those that
// matter, or names one that is not there once.
func judgeSigned(r *http.Request, signed []string, hasBody bool) error {
	if !slices.IsSorted(signed) || len(slices.Compact(slices.Clone(signed))) != len(signed) {
		return refuse("IncompleteSignature", "SignedHeaders must be in alphabetic order, each header once")
	}
	for _, name := range signed {
		if name != strings.ToLower(name) || name != "host" && len(r.Header.Values(name)) != 1 {
			return refuse("IncompleteSignature", "SignedHeaders names %q; allowed: headers that the request has, each once, in lower case", clip(name))
		}
	}
	needed := slices.Clone(mustSign)
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-acs-") || lower == "content-type" && hasBody {
			needed = append(needed, lower)
		}
	}
	for _, name := range needed {
		if !slices.Contains(signed, name) {
			return refuse("IncompleteSignature", "the header %s must be signed", name)
		}
	}
	return nil
}

func noSecurityTokens() error {
	return refuse("InvalidSecurityToken.NotSupported", "the request has a security token (STS); there are none here: sign with an access key, which causeway access-key create makes")
}
