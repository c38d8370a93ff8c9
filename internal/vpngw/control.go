package vpngw

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

// control answers on the gateway's Unix socket:
//
//	GET /status                            the report as JSON
//	POST /reload                           read the file again
//	POST /connections/NAME/initiate        bring it up, and wait for that
//	POST /connections/NAME/terminate       take it down until it is initiated again
//	POST /connections/NAME/rekey?ike=true  renew the keys of its children, or of its IKE SAs
//
// NAME is a connection, or a tunnel. What went well is answered by 204, what did
// not by 422 and the reason as text. Only the gateway's own user may connect: the
// socket's mode is 0600.
type control struct {
	path     string
	listener net.Listener
	server   *http.Server
}

// listen makes the socket. A dead one that a killed process left is replaced.
func (a *agent) listen() (*control, error) {
	fail := func(err error) (*control, error) {
		return nil, fmt.Errorf("start gateway: listen on socket %s: %w", a.Socket, err)
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
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, r *http.Request) { answer(w, a.reload(r.Context(), "asked for")) })
	mux.HandleFunc("POST /connections/{name}/{verb}", a.command)
	return &control{path: a.Socket, listener: l, server: &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(a.Log.Handler(), slog.LevelDebug),
	}}, nil
}

// serve answers until close.
func (c *control) serve() { _ = c.server.Serve(c.listener) }

// close stops answering; requests under way get a second.
func (c *control) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if c.server.Shutdown(ctx) != nil {
		c.server.Close()
	}
	c.listener.Close()
	os.Remove(c.path)
}

func (a *agent) status(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(a.report())
}

func (a *agent) command(w http.ResponseWriter, r *http.Request) {
	name, verb := r.PathValue("name"), r.PathValue("verb")
	var err error
	switch verb {
	case "initiate":
		err = a.engine.initiate(r.Context(), name)
	case "terminate":
		err = a.engine.terminate(r.Context(), name)
	case "rekey":
		err = a.engine.rekey(r.Context(), name, r.URL.Query().Get("ike") == "true")
	default:
		http.NotFound(w, r)
		return
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

// Client asks a running gateway over its socket.
type Client struct{ Socket string }

// Status returns the gateway's report.
func (c Client) Status(ctx context.Context) (report.Gateway, error) {
	var g report.Gateway
	body, err := c.do(ctx, http.MethodGet, "/status")
	if err != nil {
		return g, fmt.Errorf("ask the gateway at %s for its status: %w", c.Socket, err)
	}
	if err := json.Unmarshal(body, &g); err != nil {
		return g, fmt.Errorf("ask the gateway at %s for its status: it does not answer as a gateway does: %w", c.Socket, err)
	}
	return g, nil
}

// Reload has the gateway read its snapshot file again and returns what came of it.
func (c Client) Reload(ctx context.Context) error {
	if _, err := c.do(ctx, http.MethodPost, "/reload"); err != nil {
		return fmt.Errorf("reload the gateway at %s: %w", c.Socket, err)
	}
	return nil
}

// Initiate brings a connection, or a tunnel, up and waits until it is.
func (c Client) Initiate(ctx context.Context, name string) error {
	return c.command(ctx, name, "initiate")
}

// Terminate takes a connection, or a tunnel, down. It stays down until Initiate,
// until its parameters change, until its peer begins, or until the agent is started anew.
func (c Client) Terminate(ctx context.Context, name string) error {
	return c.command(ctx, name, "terminate")
}

// Rekey renews the keys of the children, or of the IKE SAs.
func (c Client) Rekey(ctx context.Context, name string, ike bool) error {
	verb := "rekey"
	if ike {
		verb += "?ike=true"
	}
	return c.command(ctx, name, verb)
}

func (c Client) command(ctx context.Context, name, verb string) error {
	if _, err := c.do(ctx, http.MethodPost, "/connections/"+url.PathEscape(name)+"/"+verb); err != nil {
		return fmt.Errorf("%s %s: %w", strings.TrimSuffix(verb, "?ike=true"), name, err)
	}
	return nil
}

// do sends one request and returns the answer's body.
func (c Client) do(ctx context.Context, method, path string) ([]byte, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", c.Socket)
	}
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, method, "http://gateway"+path, bytes.NewReader(nil))
	if err != nil {
		return nil, err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return nil, errors.Unwrap(err) // without the URL, which nobody asked for
	}
	defer response.Body.Close()
	received, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode/100 != 2:
		return nil, errors.New(strings.TrimSpace(string(received)))
	}
	return received, nil
}
