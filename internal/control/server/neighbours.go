package server

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"causeway/internal/control/controller"
	"causeway/internal/control/service"
	"causeway/internal/pki"
)

const (
	askNeighbour  = 2 * time.Second  // how long another controller may take to answer
	believeAnswer = 3 * time.Second  // its answer is not asked for again
	leaveAlone    = 15 * time.Second // one that did not answer
	mostReport    = 8 << 20          // bytes
	mostKnown     = 10_000           // answers that are kept
	reportPath    = "/neighbour/report"
)

// neighbours are the other controllers on the same store. An agent reports to
// the one that it is connected to; the others ask that one. Nobody keeps what
// agents measure in the store: it is large, and old in seconds.
type neighbours struct {
	service    *service.Service
	controller *controller.Controller
	own        string // this controller's address, https://host:port
	http       *http.Client

	mu     sync.Mutex           // guards what is below
	known  map[string]answered  // by agent
	silent map[string]time.Time // when a controller did not answer, by address
}

type answered struct {
	at   time.Time
	text []byte // nil: nothing was known
}

func newNeighbours(s *service.Service, c *controller.Controller, authority *pki.Authority, own string) *neighbours {
	certificate := &peerCertificate{authority: authority}
	return &neighbours{
		service: s, controller: c, own: own, known: map[string]answered{}, silent: map[string]time.Time{},
		http: &http.Client{Timeout: askNeighbour, Transport: &http.Transport{TLSClientConfig: pki.ClientConfig(authority.Fingerprint(), certificate.get), IdleConnTimeout: time.Minute}},
	}
}

// peerCertificate is what a controller shows others, made anew in time.
type peerCertificate struct {
	authority *pki.Authority

	mu      sync.Mutex // guards what is below
	current *tls.Certificate
	renew   time.Time
}

func (p *peerCertificate) get() *tls.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil || time.Now().After(p.renew) {
		fresh, err := p.authority.Peer()
		if err != nil {
			return p.current
		}
		p.current, p.renew = fresh, time.Now().Add(12*time.Hour)
	}
	return p.current
}

// lastReport is what an agent reported last: to this controller or, when it is
// connected to another one, to that.
func (n *neighbours) lastReport(agent string) ([]byte, bool) {
	live, have := n.controller.LastReport(agent)
	if have && n.controller.Connections(agent) > 0 {
		return live.JSON, true
	}
	if text := n.ask(agent); text != nil {
		return text, true
	}
	return live.JSON, have
}

// ask returns what another controller knows of an agent; nil: nothing.
func (n *neighbours) ask(agent string) []byte {
	now := time.Now()
	n.mu.Lock()
	before, known := n.known[agent]
	n.mu.Unlock()
	if known && now.Sub(before.at) < believeAnswer {
		return before.text
	}
	ctx, cancel := context.WithTimeout(context.Background(), askNeighbour)
	defer cancel()
	where, err := n.service.ReporterOf(ctx, agent)
	var text []byte
	if err == nil && where != "" && where != n.own && n.speaks(where) {
		text = n.fetch(ctx, where, agent)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.known) >= mostKnown {
		clear(n.known) // of agents that are gone; what is asked for is asked again
	}
	n.known[agent] = answered{time.Now(), text}
	return text
}

// speaks reports whether a controller answered when it was asked last.
func (n *neighbours) speaks(where string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Since(n.silent[where]) > leaveAlone
}

func (n *neighbours) fetch(ctx context.Context, where, agent string) []byte {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where+reportPath+"?"+url.Values{"agent": {agent}}.Encode(), nil)
	if err != nil {
		return nil
	}
	answer, err := n.http.Do(request)
	if err != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.silent[where] = time.Now()
		return nil
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, mostReport))
	if err != nil || answer.StatusCode != http.StatusOK || len(text) == 0 {
		return nil
	}
	return text
}

// elsewhere asks another controller whether an agent is connected to it.
func (n *neighbours) elsewhere(ctx context.Context, where, agent string) (there, answered bool) {
	if !n.speaks(where) {
		return false, false
	}
	ctx, cancel := context.WithTimeout(ctx, askNeighbour)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where+reportPath+"?"+url.Values{"agent": {agent}, "connected": {"1"}}.Encode(), nil)
	if err != nil {
		return false, false
	}
	answer, err := n.http.Do(request)
	if err != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.silent[where] = time.Now()
		return false, false
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, mostReport)) // so that the connection can be used again
	return answer.StatusCode == http.StatusOK || answer.StatusCode == http.StatusNoContent, true
}

// serve answers other controllers, and nobody else.
func (n *neighbours) serve(w http.ResponseWriter, r *http.Request) {
	if !pki.IsPeer(r.TLS) {
		http.NotFound(w, r)
		return
	}
	if q := r.URL.Query(); q.Has("connected") {
		if n.controller.Connections(q.Get("agent")) > 0 {
			w.WriteHeader(http.StatusNoContent)
		} else {
			http.NotFound(w, r)
		}
		return
	}
	live, have := n.controller.LastReport(r.URL.Query().Get("agent"))
	if !have {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(live.JSON)
}

func (n *neighbours) close() { n.http.CloseIdleConnections() }
