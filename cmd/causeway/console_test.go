package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"causeway/internal/pki"
)

func TestTheConsoleIsOnlyServedUnderItsOwnNameAndFromTheRightController(t *testing.T) {
	authority, err := pki.LoadAuthority(t.TempDir() + "/authority.pem")
	if err != nil {
		t.Fatal(err)
	}
	controller := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "from the controller, with "+r.Header.Get("Authorization"))
	}))
	controller.TLS = authority.ServerConfig()
	controller.StartTLS()
	defer controller.Close()
	at, err := url.Parse(controller.URL)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(h http.Handler, host string) (int, string) {
		r := httptest.NewRequest("POST", "http://"+host+"/causeway.v1.ControlService/WhoAmI", nil)
		r.Header.Set("Authorization", "Bearer k")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	right := toController(at, authority.Fingerprint(), "127.0.0.1:4641")
	for _, host := range []string{"127.0.0.1:4641", "localhost:4641"} {
		if code, text := ask(right, host); code != 200 || text != "from the controller, with Bearer k" {
			t.Errorf("%s: %d %s", host, code, text)
		}
	}
	for _, host := range []string{"evil.example:4641", "127.0.0.1:80", "localhost"} {
		if code, text := ask(right, host); code != http.StatusMisdirectedRequest || strings.Contains(text, "controller, with") {
			t.Errorf("%s: %d %s", host, code, text)
		}
	}
	other := toController(at, strings.Repeat("A", 43), "127.0.0.1:4641")
	if code, text := ask(other, "127.0.0.1:4641"); code != http.StatusBadGateway {
		t.Errorf("a controller with another fingerprint: %d %s", code, text)
	}
}

func TestTheConsoleListensOnLoopbackOnly(t *testing.T) {
	for listen, want := range map[string]string{":80": "127.0.0.1:80", ":4641": "127.0.0.1:4641", "127.0.0.1:0": "127.0.0.1:0", "[::1]:80": "[::1]:80"} {
		if a, err := loopback(listen); err != nil || a.String() != want || !a.IP.IsLoopback() {
			t.Errorf("%s is %v, %v; want %s", listen, a, err, want)
		}
	}
	for _, listen := range []string{"0.0.0.0:80", "[::]:80", "192.0.2.1:80", "4641", "127.0.0.1", ""} {
		if a, err := loopback(listen); err == nil && a.IP.IsLoopback() {
			t.Errorf("%s is taken for %v", listen, a)
		}
	}
}

func TestTheConsoleKnowsItsOwnName(t *testing.T) {
	for _, c := range []struct {
		host, address string
		ours          bool
	}{
		{"127.0.0.1:4641", "127.0.0.1:4641", true}, {"localhost:4641", "127.0.0.1:4641", true}, {"LOCALHOST:4641", "127.0.0.1:4641", true}, {"[::1]:4641", "[::1]:4641", true},
		{"127.0.0.1", "127.0.0.1:80", true}, {"localhost", "127.0.0.1:80", true}, {"localhost:80", "127.0.0.1:80", true}, {"[::1]", "[::1]:80", true},
		{"localhost", "127.0.0.1:4641", false}, {"127.0.0.1", "127.0.0.1:4641", false}, {"evil.example", "127.0.0.1:80", false}, {"evil.example:80", "127.0.0.1:80", false},
		{"", "127.0.0.1:80", false}, {":80", "127.0.0.1:80", false}, {"127.0.0.1.evil.example", "127.0.0.1:80", false}, {"localhost.", "127.0.0.1:80", false},
	} {
		if got := ours(c.host, c.address); got != c.ours {
			t.Errorf("a request for %q at %s: ours %v", c.host, c.address, got)
		}
	}
}
