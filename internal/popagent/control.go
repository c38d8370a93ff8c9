package popagent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"causeway/internal/report"
)

// control answers on the PoP's Unix socket:
//
//	GET  /status   the report as JSON
//	POST /reload   read the file again; 204, or 422 and the reason as text
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
	p := a.plane.Report()
	a.state.report(&p)
	p.At, p.Build, p.PublicKey, p.Runtime = time.Now(), a.Build, a.key.Public().String(), process()
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(p.Tidy())
}

func (a *agent) reloadNow(w http.ResponseWriter, r *http.Request) {
	done := make(chan error, 1) // not to hold up follow when the client is gone
	select {
	case a.reloads <- reload{why: "asked for", done: done}:
	case <-r.Context().Done():
		return
	}
	if err := <-done; err != nil {
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
	body, err := c.do(ctx, http.MethodGet, "/status")
	if err != nil {
		return p, fmt.Errorf("ask the PoP at %s for its status: %w", c.Socket, err)
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return p, fmt.Errorf("ask the PoP at %s for its status: it does not answer as a PoP does: %w", c.Socket, err)
	}
	return p, nil
}

// Reload has the PoP read its snapshot file again and returns what came of it.
func (c Client) Reload(ctx context.Context) error {
	if _, err := c.do(ctx, http.MethodPost, "/reload"); err != nil {
		return fmt.Errorf("reload the PoP at %s: %w", c.Socket, err)
	}
	return nil
}

func (c Client) do(ctx context.Context, method, path string) ([]byte, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", c.Socket)
	}
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, method, "http://pop"+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return nil, errors.Unwrap(err) // without the URL, which nobody asked for
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 256<<20))
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode/100 != 2:
		return nil, errors.New(string(body))
	}
	return body, nil
}
