package agent

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
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Socket answers requests on a Unix socket. Only the daemon's own user may
// connect: the socket's mode is 0600.
type Socket struct {
	path     string
	listener net.Listener
	server   *http.Server
}

// Listen makes the socket of a daemon, which messages call what. A dead one that
// a killed process left is replaced. Nothing is answered before Serve.
func Listen(path, what string, h http.Handler, log *slog.Logger) (*Socket, error) {
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("start %s: listen on socket %s: %w", what, path, err)
	}
	return &Socket{path: path, listener: l, server: &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}, nil
}

func listen(path string) (net.Listener, error) {
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return nil, fmt.Errorf("%w by another process", ErrInUse)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		return nil, errors.New("something that is no socket is there; move it away or choose another path")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	// Made under another name and renamed, so that it is never there with a mode
	// that lets others in, and replaces a dead one in one step.
	hidden := fmt.Sprintf("%s.%d", path, os.Getpid())
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		if errors.Is(err, syscall.EINVAL) {
			err = fmt.Errorf("%w; a socket's path has at most 107 bytes, and this one needs %d", err, len(hidden))
		}
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(hidden, 0o600), os.Rename(hidden, path)); err != nil {
		l.Close()
		os.Remove(hidden)
		return nil, err
	}
	return l, nil
}

// Serve answers until Close.
func (s *Socket) Serve() { _ = s.server.Serve(s.listener) }

// Close stops answering, also when Serve was never called: requests under way
// get a second.
func (s *Socket) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.server.Shutdown(ctx) != nil {
		s.server.Close()
	}
	s.listener.Close() // once more does no harm, and the server only knows it once it serves
	os.Remove(s.path)
}

// Tell answers with v as JSON.
func Tell(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(v)
}

// Answer says whether something worked, by 204, and why not, by 422 and the
// reason as text.
func Answer(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// mostAnswer is how many bytes of an answer are read.
const mostAnswer = 256 << 20

// Call sends one request over a daemon's socket, with body as JSON if there is
// one, and returns the answer's body. A refusal is an error with its reason.
func Call(ctx context.Context, socket, method, path string, body any) ([]byte, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	var sent bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&sent).Encode(body); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, &sent)
	if err != nil {
		return nil, err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return nil, errors.Unwrap(err) // without the URL, which nobody asked for
	}
	defer response.Body.Close()
	received, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode/100 != 2:
		return nil, errors.New(strings.TrimSpace(string(received)))
	}
	return received, nil
}
