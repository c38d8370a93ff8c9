package aliyunapi

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"causeway/internal/resource"
)

// TestEverySignatureOpens is the positive side of the three signatures.
func TestEverySignatureOpens(t *testing.T) {
	b := newBench(t).world()
	name := "ipsec ~*+/=& 서울 %"
	for _, method := range []string{"HMAC-SHA1", "HMAC-SHA256"} {
		for _, verb := range []string{"GET", "POST"} {
			v := b.rpc(resource.Operator, "CreateAccelerator", pairs("Name", name, "Empty", ""), func(v url.Values) { v.Set("SignatureMethod", method) })
			rpcSign(verb, b.keys[resource.Operator][1], v)
			r := post(v, nil)
			r.Method = verb
			if status, answer := b.send(r); status != 200 {
				t.Errorf("%s by %s: %d %v", method, verb, status, answer)
			}
		}
	}
	// As Terraform's transport has it: business parameters in the form.
	business := pairs("Name", name, "Spec", "1")
	v := b.rpc(resource.Operator, "CreateAccelerator", business)
	rpcSign("POST", b.keys[resource.Operator][1], v)
	for field := range business {
		v.Del(field)
	}
	if status, answer := b.send(post(v, business)); status != 200 {
		t.Errorf("with a form: %d %v", status, answer)
	}
	if status, answer := b.send(b.acs3(resource.Operator, "CreateAccelerator", pairs("Name", name), "")); status != 200 {
		t.Errorf("by headers: %d %v", status, answer)
	}
	if status, answer := b.send(b.acs3(resource.Operator, "CreateAccelerator", nil, pairs("Name", name).Encode())); status != 200 {
		t.Errorf("by headers with a form: %d %v", status, answer)
	}
	list := b.ok("ListAccelerators", "PageSize", "50")["Accelerators"].([]any)
	if len(list) != 7 {
		t.Errorf("%d accelerators were made, want 7", len(list))
	}
	for _, a := range list {
		if a.(map[string]any)["Name"] != name {
			t.Errorf("the name arrived as %q", a.(map[string]any)["Name"])
		}
	}
}

// rpcNegatives are requests that were signed well, and then spoiled; or signed
// after being spoiled, where sign is set. None may open.
var rpcNegatives = []struct {
	name  string
	code  string
	first func(b *bench, v url.Values)                                // before it is signed
	after func(b *bench, v url.Values, r *http.Request) *http.Request // after
}{
	{name: "the secret of another key", code: "SignatureDoesNotMatch", after: func(b *bench, v url.Values, _ *http.Request) *http.Request {
		rpcSign("POST", b.keys[resource.Reader][1], v)
		return post(v, nil)
	}},
	{name: "no secret at all", code: "SignatureDoesNotMatch", after: func(_ *bench, v url.Values, _ *http.Request) *http.Request {
		rpcSign("POST", "", v)
		return post(v, nil)
	}},
	{name: "a key that is not there", code: "InvalidAccessKeyId.NotFound", first: func(_ *bench, v url.Values) { v.Set("AccessKeyId", "CWAKNOBODY") }},
	{name: "the name of a key in place of its ID", code: "InvalidAccessKeyId.NotFound", first: func(b *bench, v url.Values) { v.Set("AccessKeyId", strings.ToLower(b.keys[resource.Operator][0])+"x") }},
	{name: "a parameter altered", code: "SignatureDoesNotMatch", after: set("Name", "other")},
	{name: "a parameter added", code: "SignatureDoesNotMatch", after: set("Spec", "200")},
	{name: "a parameter added to the form", code: "SignatureDoesNotMatch", after: func(_ *bench, v url.Values, _ *http.Request) *http.Request { return post(v, pairs("Spec", "200")) }},
	{name: "a parameter taken away", code: "SignatureDoesNotMatch", after: del("Name")},
	{name: "an empty parameter taken away", code: "SignatureDoesNotMatch", after: del("SignatureType")},
	{name: "a parameter's case altered", code: "SignatureDoesNotMatch", after: set("name", "named")},
	{name: "a parameter twice, alike", code: "InvalidParameter", after: raw("&Name=named")},
	{name: "a parameter twice, different", code: "InvalidParameter", after: raw("&Name=other")},
	{name: "a parameter in the query and in the form", code: "InvalidParameter", after: func(_ *bench, v url.Values, _ *http.Request) *http.Request { return post(v, pairs("Name", "other")) }},
	{name: "the action twice", code: "InvalidParameter", after: raw("&Action=DeleteAccelerator")},
	{name: "the signature twice", code: "InvalidParameter", after: raw("&Signature=AAAA")},
	{name: "another action", code: "SignatureDoesNotMatch", after: set("Action", "DeleteAccelerator")},
	{name: "another version", code: "SignatureDoesNotMatch", after: set("Version", versionVpc)},
	{name: "another action in the header", code: "InvalidParameter", after: header("x-acs-action", "DeleteAccelerator")},
	{name: "another version in the header", code: "InvalidParameter", after: header("x-acs-version", versionVpc)},
	{name: "signed for GET, sent by POST", code: "SignatureDoesNotMatch", after: func(b *bench, v url.Values, _ *http.Request) *http.Request {
		rpcSign("GET", b.keys[resource.Operator][1], v)
		return post(v, nil)
	}},
	{name: "signed for POST, sent by GET", code: "SignatureDoesNotMatch", after: func(_ *bench, v url.Values, _ *http.Request) *http.Request {
		r := post(v, nil)
		r.Method = "GET"
		return r
	}},
	{name: "sent by PUT", code: "UnsupportedHTTPMethod", after: func(_ *bench, v url.Values, _ *http.Request) *http.Request {
		r := post(v, nil)
		r.Method = "PUT"
		return r
	}},
	{name: "no signature", code: "IncompleteSignature", after: del("Signature")},
	{name: "an empty signature", code: "IncompleteSignature", after: set("Signature", "")},
	{name: "a signature that is no base64", code: "SignatureDoesNotMatch", after: set("Signature", "!!!!")},
	{name: "half a signature", code: "SignatureDoesNotMatch", after: func(_ *bench, v url.Values, _ *http.Request) *http.Request {
		raw, _ := base64.StdEncoding.DecodeString(v.Get("Signature"))
		v.Set("Signature", base64.StdEncoding.EncodeToString(raw[:10]))
		return post(v, nil)
	}},
	{name: "a signature in hexadecimal", code: "SignatureDoesNotMatch", after: func(_ *bench, v url.Values, _ *http.Request) *http.Request {
		raw, _ := base64.StdEncoding.DecodeString(v.Get("Signature"))
		v.Set("Signature", hex.EncodeToString(raw))
		return post(v, nil)
	}},
	{name: "a line break in the signature", code: "SignatureDoesNotMatch", after: func(_ *bench, v url.Values, _ *http.Request) *http.Request {
		v.Set("Signature", v.Get("Signature")[:8]+"\n"+v.Get("Signature")[8:])
		return post(v, nil)
	}},
	{name: "a signature without the key's ampersand", code: "SignatureDoesNotMatch", after: func(b *bench, v url.Values, _ *http.Request) *http.Request {
		v.Del("Signature")
		v.Set("Signature", signed(sha1.New, b.keys[resource.Operator][1], "POST&%2F&"+escaped(joined(v))))
		return post(v, nil)
	}},
	{name: "no access key", code: "MissingAccessKeyId", after: del("AccessKeyId")},
	{name: "another signature version", code: "IncompleteSignature", first: func(_ *bench, v url.Values) { v.Set("SignatureVersion", "2.0") }},
	{name: "no signature version", code: "IncompleteSignature", first: func(_ *bench, v url.Values) { v.Del("SignatureVersion") }},
	{name: "the method none", code: "IncompleteSignature", first: func(_ *bench, v url.Values) { v.Set("SignatureMethod", "none") }},
	{name: "no method", code: "IncompleteSignature", first: func(_ *bench, v url.Values) { v.Del("SignatureMethod") }},
	{name: "the method MD5", code: "IncompleteSignature", first: func(_ *bench, v url.Values) { v.Set("SignatureMethod", "HMAC-MD5") }},
	{name: "signed with SHA-1, said to be SHA-256", code: "SignatureDoesNotMatch", after: set("SignatureMethod", "HMAC-SHA256")},
	{name: "a bearer token", code: "IncompleteSignature", first: func(_ *bench, v url.Values) { v.Set("SignatureType", "BEARERTOKEN"); v.Set("BearerToken", "x") }},
	{name: "a private key's type", code: "IncompleteSignature", first: func(_ *bench, v url.Values) { v.Set("SignatureType", "PRIVATEKEY") }},
	{name: "a security token", code: "InvalidSecurityToken.NotSupported", first: func(_ *bench, v url.Values) { v.Set("SecurityToken", "CAES") }},
	{name: "a security token in a header", code: "InvalidSecurityToken.NotSupported", after: header("x-acs-security-token", "CAES")},
	{name: "a nonce used before", code: "SignatureNonceUsed", first: func(b *bench, v url.Values) {
		v.Set("SignatureNonce", "again")
		rpcSign("POST", b.keys[resource.Operator][1], v)
		if status, answer := b.send(post(v, nil)); status != 200 {
			b.t.Errorf("the first request: %d %v", status, answer)
		}
		v.Del("Signature")
	}},
	{name: "no nonce", code: "MissingParameter", first: func(_ *bench, v url.Values) { v.Del("SignatureNonce") }},
	{name: "a nonce without end", code: "MissingParameter", first: func(_ *bench, v url.Values) { v.Set("SignatureNonce", strings.Repeat("n", 129)) }},
	{name: "a timestamp of sixteen minutes ago", code: "InvalidTimeStamp.Expired", first: func(b *bench, v url.Values) { v.Set("Timestamp", b.now.Add(-window-time.Second).Format(timeLayout)) }},
	{name: "a timestamp of in sixteen minutes", code: "InvalidTimeStamp.Expired", first: func(b *bench, v url.Values) { v.Set("Timestamp", b.now.Add(window+time.Second).Format(timeLayout)) }},
	{name: "a timestamp of another zone", code: "InvalidTimeStamp.Format", first: func(b *bench, v url.Values) { v.Set("Timestamp", b.now.Format(time.RFC3339)[:19]+"+08:00") }},
	{name: "a timestamp in seconds", code: "InvalidTimeStamp.Format", first: func(b *bench, v url.Values) { v.Set("Timestamp", fmt.Sprint(b.now.Unix())) }},
	{name: "no timestamp", code: "InvalidTimeStamp.Format", first: func(_ *bench, v url.Values) { v.Del("Timestamp") }},
	{name: "a semicolon between parameters", code: "InvalidParameter", after: raw("&a=1;Spec=200")},
	{name: "a percent sign that encodes nothing", code: "InvalidParameter", after: raw("&a=%zz")},
	{name: "a body that is no form", code: "InvalidParameter", after: func(_ *bench, v url.Values, _ *http.Request) *http.Request {
		r := post(v, pairs("Spec", "200"))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		return r
	}},
	{name: "JSON added as a body", code: "SignatureDoesNotMatch", after: func(_ *bench, v url.Values, _ *http.Request) *http.Request {
		r := httptest.NewRequest("POST", "http://ga.example.com/?"+v.Encode(), strings.NewReader(`{"Spec":"200"}`))
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("Content-Type", "application/json")
		return r
	}},
	{name: "an authorization header beside the signature", code: "IncompleteSignature", after: header("Authorization", "ACS3-HMAC-SHA256 Credential=x,SignedHeaders=host,Signature=00")},
}

func set(name, value string) func(*bench, url.Values, *http.Request) *http.Request {
	return func(_ *bench, v url.Values, _ *http.Request) *http.Request { v.Set(name, value); return post(v, nil) }
}

func del(name string) func(*bench, url.Values, *http.Request) *http.Request {
	return func(_ *bench, v url.Values, _ *http.Request) *http.Request { v.Del(name); return post(v, nil) }
}

func raw(more string) func(*bench, url.Values, *http.Request) *http.Request {
	return func(_ *bench, _ url.Values, r *http.Request) *http.Request { r.URL.RawQuery += more; return r }
}

func header(name, value string) func(*bench, url.Values, *http.Request) *http.Request {
	return func(_ *bench, _ url.Values, r *http.Request) *http.Request { r.Header.Set(name, value); return r }
}

// acs3Negatives are the same for signed headers: each change is made after the
// request was signed, unless it signs again.
var acs3Negatives = []struct {
	name, code string
	spoil      func(b *bench, r *http.Request, query url.Values)
}{
	{"the secret of another key", "SignatureDoesNotMatch", func(b *bench, r *http.Request, q url.Values) {
		acs3Sign(r, [2]string{b.keys[resource.Operator][0], b.keys[resource.Reader][1]}, q, acs3)
	}},
	{"a key that is not there", "InvalidAccessKeyId.NotFound", func(_ *bench, r *http.Request, q url.Values) { acs3Sign(r, [2]string{"CWAKNOBODY", "x"}, q, acs3) }},
	{"an unknown algorithm of the family", "IncompleteSignature", func(b *bench, r *http.Request, q url.Values) {
		acs3Sign(r, b.keys[resource.Operator], q, "ACS3-HMAC-SM3")
	}},
	{"a public key's algorithm", "IncompleteSignature", func(b *bench, r *http.Request, q url.Values) {
		acs3Sign(r, b.keys[resource.Operator], q, "ACS3-RSA-SHA256")
	}},
	{"the algorithm none", "IncompleteSignature", func(b *bench, r *http.Request, q url.Values) { acs3Sign(r, b.keys[resource.Operator], q, "none") }},
	{"a query parameter altered", "SignatureDoesNotMatch", func(_ *bench, r *http.Request, _ url.Values) { r.URL.RawQuery = "Name=other" }},
	{"a query parameter added", "SignatureDoesNotMatch", func(_ *bench, r *http.Request, _ url.Values) { r.URL.RawQuery += "&Spec=200" }},
	{"a query parameter twice", "InvalidParameter", func(_ *bench, r *http.Request, _ url.Values) { r.URL.RawQuery += "&Name=named" }},
	{"another host", "SignatureDoesNotMatch", func(_ *bench, r *http.Request, _ url.Values) { r.Host = "vpc.example.com" }},
	{"another path", "SignatureDoesNotMatch", func(_ *bench, r *http.Request, _ url.Values) { r.URL.Path = "/other" }},
	{"another method", "SignatureDoesNotMatch", func(_ *bench, r *http.Request, _ url.Values) { r.Method = "GET" }},
	{"another action", "SignatureDoesNotMatch", func(_ *bench, r *http.Request, _ url.Values) { r.Header.Set("x-acs-action", "ListAccelerators") }},
	{"another action in the query", "InvalidParameter", func(b *bench, r *http.Request, q url.Values) {
		q.Set("Action", "DeleteAccelerator")
		r.URL.RawQuery = q.Encode()
		acs3Sign(r, b.keys[resource.Operator], q, acs3)
	}},
	{"the first signature's parameters as well", "IncompleteSignature", func(b *bench, r *http.Request, q url.Values) {
		q.Set("Signature", "AAAA")
		r.URL.RawQuery = q.Encode()
		acs3Sign(r, b.keys[resource.Operator], q, acs3)
	}},
	{"the hash of another body", "SignatureDoesNotMatch", func(b *bench, r *http.Request, q url.Values) {
		sum := sha256.Sum256([]byte("Spec=200"))
		r.Header.Set("x-acs-content-sha256", hex.EncodeToString(sum[:]))
		acs3Sign(r, b.keys[resource.Operator], q, acs3)
	}},
	{"an unsigned payload", "SignatureDoesNotMatch", func(b *bench, r *http.Request, q url.Values) {
		r.Header.Set("x-acs-content-sha256", "UNSIGNED-PAYLOAD")
		acs3Sign(r, b.keys[resource.Operator], q, acs3)
	}},
	{"the action not signed", "IncompleteSignature", func(b *bench, r *http.Request, q url.Values) {
		acs3SignNames(r, b.keys[resource.Operator], q, acs3, []string{"host", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"})
	}},
	{"the host not signed", "IncompleteSignature", func(b *bench, r *http.Request, q url.Values) {
		acs3SignNames(r, b.keys[resource.Operator], q, acs3, []string{"x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"})
	}},
	{"a header of the vendor's not signed", "IncompleteSignature", func(_ *bench, r *http.Request, _ url.Values) { r.Header.Set("x-acs-extra", "1") }},
	{"signed headers out of order", "IncompleteSignature", func(_ *bench, r *http.Request, _ url.Values) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "host;x-acs-action", "x-acs-action;host", 1))
	}},
	{"a signed header twice", "IncompleteSignature", func(_ *bench, r *http.Request, _ url.Values) { r.Header.Add("x-acs-action", "ListAccelerators") }},
	{"two authorizations", "IncompleteSignature", func(_ *bench, r *http.Request, _ url.Values) {
		r.Header.Add("Authorization", r.Header.Get("Authorization"))
	}},
	{"half a signature", "IncompleteSignature", func(_ *bench, r *http.Request, _ url.Values) {
		r.Header.Set("Authorization", r.Header.Get("Authorization")[:len(r.Header.Get("Authorization"))-32])
	}},
	{"no signature", "IncompleteSignature", func(b *bench, r *http.Request, _ url.Values) {
		r.Header.Set("Authorization", acs3+" Credential="+b.keys[resource.Operator][0])
	}},
	{"another date", "SignatureDoesNotMatch", func(b *bench, r *http.Request, _ url.Values) {
		r.Header.Set("x-acs-date", b.now.Add(time.Minute).Format(timeLayout))
	}},
	{"an old date", "InvalidTimeStamp.Expired", func(b *bench, r *http.Request, q url.Values) {
		r.Header.Set("x-acs-date", b.now.Add(-window-time.Second).Format(timeLayout))
		acs3Sign(r, b.keys[resource.Operator], q, acs3)
	}},
	{"a nonce used before", "SignatureNonceUsed", func(b *bench, r *http.Request, q url.Values) {
		first := b.acs3(resource.Operator, "ListAccelerators", nil, "")
		r.Header.Set("x-acs-signature-nonce", first.Header.Get("x-acs-signature-nonce"))
		b.send(first)
		acs3Sign(r, b.keys[resource.Operator], q, acs3)
	}},
	{"a security token", "InvalidSecurityToken.NotSupported", func(b *bench, r *http.Request, q url.Values) {
		r.Header.Set("x-acs-security-token", "CAES")
		acs3Sign(r, b.keys[resource.Operator], q, acs3)
	}},
	{"the native API's bearer secret", "IncompleteSignature", func(b *bench, r *http.Request, _ url.Values) {
		r.Header.Set("Authorization", "Bearer "+b.keys[resource.Operator][0]+"."+b.keys[resource.Operator][1])
	}},
}

// TestNoSpoiledRequestOpens sends every negative, and looks that none did anything.
func TestNoSpoiledRequestOpens(t *testing.T) {
	if n := len(rpcNegatives) + len(acs3Negatives); n < 40 {
		t.Fatalf("only %d negatives", n)
	}
	for _, c := range rpcNegatives {
		t.Run("rpc "+c.name, func(t *testing.T) {
			b := newBench(t)
			v := b.rpc(resource.Operator, "ListAccelerators", pairs("Name", "named"))
			if c.first != nil {
				c.first(b, v)
			}
			rpcSign("POST", b.keys[resource.Operator][1], v)
			r := post(v, nil)
			if c.after != nil {
				r = c.after(b, v, r)
			}
			judgeNegative(t, b, r, c.code)
		})
	}
	for _, c := range acs3Negatives {
		t.Run("acs3 "+c.name, func(t *testing.T) {
			b := newBench(t)
			q := pairs("Name", "named")
			r := b.acs3(resource.Operator, "CreateAccelerator", q, "")
			c.spoil(b, r, q)
			judgeNegative(t, b, r, c.code)
		})
	}
}

func judgeNegative(t *testing.T, b *bench, r *http.Request, code string) {
	t.Helper()
	before := len(b.stored())
	if status, answer := b.send(r); status == 200 || answer["Code"] != code {
		t.Errorf("want %s, have %d %v", code, status, answer)
	}
	if len(b.stored()) != before {
		t.Error("something was written")
	}
}

// TestTheEdgesOfTheWindowOpen: fifteen minutes are allowed, to both sides.
func TestTheEdgesOfTheWindowOpen(t *testing.T) {
	b := newBench(t)
	for _, off := range []time.Duration{-window, 0, window} {
		v := b.rpc(resource.Reader, "ListAccelerators", nil, func(v url.Values) { v.Set("Timestamp", b.now.Add(off).Format(timeLayout)) })
		rpcSign("POST", b.keys[resource.Reader][1], v)
		if status, answer := b.send(post(v, nil)); status != 200 {
			t.Errorf("%v off: %d %v", off, status, answer)
		}
	}
}

func TestNoncesAreBoundedAndForgottenInTime(t *testing.T) {
	n := newNonces()
	n.perKey, n.overall = 10, 15
	now := time.Unix(1_800_000_000, 0)
	for i := range 10 {
		if fresh, room := n.add("a", fmt.Sprint(i), now.Add(window), now); !fresh || !room {
			t.Fatalf("nonce %d: %v %v", i, fresh, room)
		}
	}
	if fresh, room := n.add("a", "3", now.Add(window), now); fresh || !room {
		t.Error("a nonce is fresh twice")
	}
	if _, room := n.add("a", "more", now.Add(window), now); room {
		t.Error("one key takes more than its share")
	}
	for i := range 5 {
		if _, room := n.add("b", fmt.Sprint(i), now.Add(window), now); !room {
			t.Error("another key has no room")
		}
	}
	if _, room := n.add("c", "1", now.Add(window), now); room {
		t.Error("there is room without end")
	}
	later := now.Add(window + 2*time.Second)
	if fresh, room := n.add("a", "3", later.Add(window), later); !fresh || !room {
		t.Error("what can no longer be sent is not forgotten")
	}
	if len(n.seen) != 1 || len(n.of) != 1 || len(n.owner) != 1 {
		t.Errorf("%d nonces of %d keys are left", len(n.seen), len(n.of))
	}
}

// TestASignatureOfTheVendorsDocuments checks the canonical forms against values
// worked out by another program: HMAC by hand of a string put together by hand.
func TestTheStringToSignIsTheVendors(t *testing.T) {
	all := values{"Action": "DescribeRegions", "Name": "a b*~+/=&", "AccessKeyId": "id", "Empty": "", "Signature": "left out"}
	want := "POST&%2F&AccessKeyId%3Did%26Action%3DDescribeRegions%26Empty%3D%26Name%3Da%2520b%252A~%252B%252F%253D%2526"
	if have := rpcStringToSign("POST", all); have != want {
		t.Errorf("have\n%s\nwant\n%s", have, want)
	}
	mac := hmac.New(sha1.New, []byte("secret&"))
	mac.Write([]byte(want))
	if have := signed(sha1.New, "secret&", want); have != base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		t.Error("the test signs wrongly")
	}
}

// TestPlainHTTPFromElsewhereIsRefused: parameters may hold keys of tunnels.
func TestPlainHTTPFromElsewhereIsRefused(t *testing.T) {
	b := newBench(t)
	ask := func(from string) map[string]any {
		v := b.rpc(resource.Reader, "ListAccelerators", nil)
		rpcSign("POST", b.keys[resource.Reader][1], v)
		r := post(v, nil)
		r.RemoteAddr = from
		_, answer := b.send(r)
		return answer
	}
	if answer := ask("192.0.2.1:9"); answer["Code"] != "Forbidden.InsecureTransport" {
		t.Errorf("HTTP from elsewhere: %v", answer)
	}
	if answer := ask("[::1]:9"); answer["Code"] != nil {
		t.Errorf("HTTP from here: %v", answer)
	}
	b.api.plain = true
	if answer := ask("192.0.2.1:9"); answer["Code"] != nil {
		t.Errorf("HTTP from elsewhere, allowed: %v", answer)
	}
}
