package popagent

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"causeway/internal/agent"
	"causeway/internal/report"
)

// routes are what is answered on the PoP's socket:
//
//	GET /status             the report as JSON
//	POST /reload            read the file again; 204, or 422 and the reason as text
//	PUT /xdp                {"on": true}: take packets before the kernel's stack, or not; 204 or 422
//	PUT /routes/TO/pin      {"via": [relays]}: use this way; 204 or 422
//	DELETE /routes/TO/pin   choose again; 204 or 422
func (a *runner) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { agent.Tell(w, a.whole()) })
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, r *http.Request) { agent.Answer(w, a.Reload(r.Context(), "asked for")) })
	mux.HandleFunc("PUT /xdp", a.switchXDP)
	mux.HandleFunc("PUT /routes/{to}/pin", a.pin)
	mux.HandleFunc("DELETE /routes/{to}/pin", a.pin)
	for pattern, h := range a.Handlers {
		mux.Handle(pattern, h)
	}
	return mux
}

// whole is the report of the plane with what the agent knows added.
func (a *runner) whole() report.PoP {
	p := a.plane.Report()
	p.Snapshot = a.snapshots.Report()
	if s, ok := a.snapshots.Running(); ok && p.Name == "" {
		p.Name, p.Region, p.Label = s.PoP.Name, s.PoP.Region, uint16(s.PoP.Label)
	}
	p.At, p.Build, p.PublicKey, p.Runtime = time.Now(), a.Build, a.key.Public().String(), agent.Process()
	if a.link != nil {
		a.link.Amend(&p.Snapshot)
	}
	if a.Amend != nil {
		a.Amend(&p)
	}
	return p.Tidy()
}

// pinned is the body of a request to pin a route.
type pinned struct {
	Via []string `json:"via"` // relays, in order; empty is direct
}

func (a *runner) pin(w http.ResponseWriter, r *http.Request) {
	to := r.PathValue("to")
	if r.Method == http.MethodDelete {
		a.Log.Info("route is unpinned", "to", to)
		agent.Answer(w, a.plane.UnpinRoute(to))
		return
	}
	var body pinned
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&body); err != nil {
		agent.Answer(w, fmt.Errorf("read the request: %w", err))
		return
	}
	err := a.plane.PinRoute(to, body.Via)
	if err == nil {
		a.Log.Info("route is pinned", "to", to, "via", body.Via)
	}
	agent.Answer(w, err)
}

// Client asks a running PoP over its socket.
type Client struct{ Socket string }

// Status returns the PoP's report.
func (c Client) Status(ctx context.Context) (report.PoP, error) {
	var p report.PoP
	body, err := c.do(ctx, http.MethodGet, "/status", nil)
	if err != nil {
		return p, fmt.Errorf("ask the PoP at %s for its status: %w", c.Socket, err)
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return p, fmt.Errorf("ask the PoP at %s for its status: it does not answer as a PoP does: %w", c.Socket, err)
	}
	return p, nil
}

// Get asks for what one of Options.Handlers answers, and returns the answer's body.
func (c Client) Get(ctx context.Context, path string) ([]byte, error) {
	body, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the PoP at %s: %w", c.Socket, err)
	}
	return body, nil
}

// Reload has the PoP read its snapshot file again and returns what came of it.
func (c Client) Reload(ctx context.Context) error {
	if _, err := c.do(ctx, http.MethodPost, "/reload", nil); err != nil {
		return fmt.Errorf("reload the PoP at %s: %w", c.Socket, err)
	}
	return nil
}

// PinRoute has the PoP send what goes to another PoP over the given relays, in
// order; none is direct. It holds until UnpinRoute, until the route's candidates
// change, or until the PoP's process ends.
func (c Client) PinRoute(ctx context.Context, to string, via []string) error {
	if _, err := c.do(ctx, http.MethodPut, "/routes/"+url.PathEscape(to)+"/pin", pinned{Via: via}); err != nil {
		return fmt.Errorf("pin the route to %s: %w", to, err)
	}
	return nil
}

// UnpinRoute has the PoP choose that route by itself again.
func (c Client) UnpinRoute(ctx context.Context, to string) error {
	if _, err := c.do(ctx, http.MethodDelete, "/routes/"+url.PathEscape(to)+"/pin", nil); err != nil {
		return fmt.Errorf("unpin the route to %s: %w", to, err)
	}
	return nil
}

func (c Client) do(ctx context.Context, method, path string, body any) ([]byte, error) {
	return agent.Call(ctx, c.Socket, method, path, body)
}
