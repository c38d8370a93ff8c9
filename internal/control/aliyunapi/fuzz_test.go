package aliyunapi

import (
	"io"
	"maps"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzParameters holds the decoder to its bounds, and to meaning the same as the
// standard library's where that accepts a query.
func FuzzParameters(f *testing.F) {
	for _, seed := range []string{"Action=a&Version=b", "PortRanges.1.FromPort=500&PortRanges.1.ToPort=500", "a=1&a=2", "PortRanges=[{\"FromPort\":500}]", "a.0.b=1&a.500=x&a.501=y",
		"%41=%42", "a=%zz", "a;b=1", "=1&=2", "a...b=1", "IkeConfig=%7B%22Psk%22%3A%22x%22%7D", "a=[[[[[[[[[[1]]]]]]]]]]", "a=" + `{"b":{"c":[1,2,{"d":null}]}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := readValues(text)
		if err != nil {
			return
		}
		if standard, err := url.ParseQuery(text); err == nil {
			for name, list := range standard {
				if len(list) != 1 || all[name] != list[0] {
					t.Fatalf("%q: %q is %q, the standard library says %q", text, name, all[name], list)
				}
			}
			if len(standard) != len(all) {
				t.Fatalf("%q: %d parameters, the standard library finds %d", text, len(all), len(standard))
			}
		}
		root, err := newParams(all)
		if err != nil {
			return
		}
		for name := range all {
			if len(root.children) == 0 {
				t.Fatalf("%q was lost", name)
			}
		}
		for name := range root.children {
			list, err := root.list(name)
			if err == nil && len(list) > maxParameters {
				t.Fatalf("%q has %d elements", name, len(list))
			}
			for _, e := range list {
				_, _ = e.texts("x")
				_ = e.text("FromPort")
				_, _ = e.flag("Enable", true)
			}
			_, _ = root.number(name, 0, 10, 1)
		}
	})
}

// FuzzCanonical: what is canonical stays so when it is read again, and no two
// sets of parameters have the same canonical form.
func FuzzCanonical(f *testing.F) {
	f.Add("a=1&b=2", "a=1")
	f.Add("a=%26b%3D2", "a=&b=2")
	f.Add("Name=%2A~+%2B", "x=%E1%84%80")
	f.Fuzz(func(t *testing.T, one, other string) {
		first, err := readValues(one)
		if err != nil {
			return
		}
		canonical := canonicalQuery(first)
		again, err := readValues(canonical)
		if err != nil || !maps.Equal(first, again) && !hasEmptyName(first) {
			t.Fatalf("%q became %q, which reads as %v (%v)", one, canonical, again, err)
		}
		if canonicalQuery(again) != canonical && !hasEmptyName(first) {
			t.Fatalf("%q is not stable", canonical)
		}
		second, err := readValues(other)
		if err == nil && canonicalQuery(second) == canonical && !maps.Equal(first, second) {
			t.Fatalf("%q and %q are signed alike", one, other)
		}
		if err == nil && rpcStringToSign("GET", first) == rpcStringToSign("POST", second) {
			t.Fatal("methods are signed alike")
		}
	})
}

// hasEmptyName: "=" alone reads as an empty name with an empty value, which
// the canonical form keeps as "=".
func hasEmptyName(v values) bool { _, has := v[""]; return has }

// FuzzRequest sends anything: nothing may crash, and nothing may open.
func FuzzRequest(f *testing.F) {
	f.Add("POST", "Action=DescribeRegions&Version=2019-11-20&AccessKeyId=x&Signature=y&SignatureMethod=HMAC-SHA1&SignatureVersion=1.0&Timestamp=2026-11-22T12:00:00Z&SignatureNonce=n", "", "")
	f.Add("POST", "", "a=b", "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host;x-acs-action,Signature=00")
	f.Add("GET", "x", "{}", "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=,Signature=")
	b := newBench(f)
	f.Fuzz(func(t *testing.T, method, query, body, authorization string) {
		r := httptest.NewRequest("POST", "http://ga.example.com/", nil)
		r.Method, r.URL.RawQuery, r.RemoteAddr = method, query, "127.0.0.1:1"
		r.Body = readCloser(body)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
			for _, name := range mustSign[1:] {
				r.Header.Set(name, "2026-11-22T12:00:00Z")
			}
		}
		w := httptest.NewRecorder()
		b.api.ServeHTTP(w, r)
		if w.Code == 200 || w.Code == 500 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}

type stringBody struct{ *strings.Reader }

func (stringBody) Close() error { return nil }

func readCloser(s string) io.ReadCloser { return stringBody{strings.NewReader(s)} }
