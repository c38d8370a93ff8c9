package server

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/apiclient"
	"causeway/internal/pki"
)

// second starts another controller on r's store and keys.
func (r *running) second() *running {
	r.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(r.t, err)
	other := &running{t: r.t, dir: r.dir, store: r.store, address: listener.Addr().String()}
	other.server, err = New(Options{Store: r.store, Dir: r.dir, Listener: listener, Address: "https://" + other.address, Version: "test", Log: slog.New(slog.DiscardHandler)})
	must(r.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- other.server.Run(ctx) }()
	other.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("the second controller ended with %v", err)
		}
	})
	r.t.Cleanup(other.stop)
	return other
}

func TestEveryControllerKnowsWhatAgentsTellAnother(t *testing.T) {
	r := start(t)
	c := r.client(r.admin)
	tokens := r.tutorial(c)
	other := r.second()
	credentials, err := other.enrol(tokens["seoul"], t.TempDir())
	must(t, err)
	a := newAgent()
	other.follow(credentials, a)
	a.next(t)
	eventually(t, "the controller that it is not connected to knows its report", func() bool {
		answer, err := c.Call(context.Background(), "ControlService", "GetPoPReport", &v1.GetRequest{Name: "seoul"})
		return err == nil && bytes.Contains(answer.(*v1.PoPReport).GetJson(), []byte("canary"))
	})
	if r.server.controller.Connections("seoul") != 0 {
		t.Error("it was connected to both")
	}
	other.stop()
	if _, err := c.Call(context.Background(), "ControlService", "GetPoPReport", &v1.GetRequest{Name: "shanghai"}); err == nil {
		t.Error("a PoP that never reported has a report")
	}
}

func TestReportsAreForControllersOnly(t *testing.T) {
	r := start(t)
	profile := apiclient.Profile{Controller: "https://" + r.address}
	for name, client := range map[string]*http.Client{
		"nobody":         {Transport: &http.Transport{TLSClientConfig: pki.ClientConfig(r.server.Fingerprint(), nil)}},
		"another's peer": {Transport: &http.Transport{TLSClientConfig: pki.ClientConfig(r.server.Fingerprint(), (&peerCertificate{authority: strangers(t)}).get)}},
	} {
		answer, err := client.Get(profile.Controller + reportPath + "?agent=seoul")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode != http.StatusNotFound {
				t.Errorf("%s is answered with %s", name, answer.Status)
			}
		}
		client.CloseIdleConnections()
	}
}

func strangers(t *testing.T) *pki.Authority {
	t.Helper()
	a, err := pki.LoadAuthority(t.TempDir() + "/authority.pem")
	must(t, err)
	return a
}
