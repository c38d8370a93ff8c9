package popagent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"causeway/internal/report"
)

// control answers on the PoP's Unix socket:
//
//	GET /status             the report as JSON
//	POST /reload            read the file again; 204, or 422 and the reason as text
//	PUT /xdp                {"on": true}: take packets before the kernel's stack, or not; 204 or 422
//	PUT /routes/TO/pin      {"via": [relays]}: use this way; 204 or 422
//	DELETE /routes/TO/pin   choose again; 204 or 422
//
// Only the PoP's own user may connect: the socket's mode is 0600.
type control struct {
	path     string
	listener net.Listener
	server   *http.Server
}

// listen makes the socket. A dead one that a killed process left is replaced.
func (a *agent) listen() (*control, error) {
	fail := func(err error) (*control, error) {
		return nil, fmt.Errorf("start PoP: listen on socket %s: %w", a.Socket, err)
	}
	if conn, err := net.DialTimeout("unix", a.Socket, time.Second); err == nil {
		conn.Close()
		return fail(fmt.Errorf("%w by another process", ErrInUse))
	}
	if info, err := os.Lstat(a.Socket); err == nil && info.Mode().Type() != os.ModeSocket {
		return fail(errors.New("something that is no socket is there; move it away or choose another path"))
	}
	if err := os.MkdirAll(filepath.Dir(a.Socket), 0o755); err != nil {
		return fail(err)
	}
	// Made under another name and renamed, so that it is never there with a mode
	// that lets others in, and replaces a dead one in one step.
	hidden := fmt.Sprintf("%s.%d", a.Socket, os.Getpid())
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		if errors.Is(err, syscall.EINVAL) {
			err = fmt.Errorf("%w; a socket's path has at most 107 bytes, and this one needs %d", err, len(hidden))
		}
		return fail(err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(hidden, 0o600), os.Rename(hidden, a.Socket)); err != nil {
		l.Close()
		os.Remove(hidden)
		return fail(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", a.status)
	mux.HandleFunc("POST /reload", a.reloadNow)
	mux.HandleFunc("PUT /xdp", a.switchXDP)
	mux.HandleFunc("PUT /routes/{to}/pin", a.pin)
	mux.HandleFunc("DELETE /routes/{to}/pin", a.pin)
	for pattern, h := range a.Handlers {
		mux.Handle(pattern, h)
	}
	return &control{path: a.Socket, listener: l, server: &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(a.Log.Handler(), slog.LevelDebug),
	}}, nil
}

// serve answers until close.
func (c *control) serve() { _ = c.server.Serve(c.listener) }

// close stops answering, also when serve was never called: requests under way
// get a second.
func (c *control) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if c.server.Shutdown(ctx) != nil {
		c.server.Close()
	}
	c.listener.Close() // once more does no harm, and the server only knows it once it serves
	os.Remove(c.path)
}

func (a *agent) status(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(a.whole())
}

// whole is the report of the plane with what the agent knows added.
func (a *agent) whole() report.PoP {
	p := a.plane.Report()
	a.state.report(&p)
	p.At, p.Build, p.PublicKey, p.Runtime = time.Now(), a.Build, a.key.Public().String(), process()
	if a.Amend != nil {
		a.Amend(&p)
	}
	return p.Tidy()
}

func (a *agent) reloadNow(w http.ResponseWriter, r *http.Request) {
	done := make(chan error, 1) // not to hold up follow when the client is gone
	select {
	case a.reloads <- reload{why: "asked for", done: done}:
	case <-r.Context().Done():
		return
	}
	answer(w, <-done)
}

// pinned is the body of a request to pin a route.
type pinned struct {
	Via []string `json:"via"` // relays, in order; empty is direct
}

func (a *agent) pin(w http.ResponseWriter, r *http.Request) {
	to := r.PathValue("to")
	if r.Method == http.MethodDelete {
		a.Log.Info("route is unpinned", "to", to)
		answer(w, a.plane.UnpinRoute(to))
		return
	}
	var body pinned
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&body); err != nil {
		answer(w, fmt.Errorf("read the request: %w", err))
		return
	}
	err := a.plane.PinRoute(to, body.Via)
	if err == nil {
		a.Log.Info("route is pinned", "to", to, "via", body.Via)
	}
	answer(w, err)
}

// answer says whether it worked, and why not.
func answer(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.WriteHeader(http.StatusNoContent)
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

// do sends one request, with body as JSON if there is one, and returns the answer's body.
func (c Client) do(ctx context.Context, method, path string, body any) ([]byte, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", c.Socket)
	}
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	var sent bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&sent).Encode(body); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://pop"+path, &sent)
	if err != nil {
		return nil, err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return nil, errors.Unwrap(err) // without the URL, which nobody asked for
	}
	defer response.Body.Close()
	received, err := io.ReadAll(io.LimitReader(response.Body, 256<<20))
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode/100 != 2:
		return nil, errors.New(strings.TrimSpace(string(received)))
	}
	return received, nil
}
