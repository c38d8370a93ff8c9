package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"causeway/internal/cli"
	"causeway/internal/control/console"
	"causeway/internal/pki"
)

func newConsoleCommand() *command {
	var listen, profile string
	c := &command{
		Use:   "console",
		Short: "Open the web console of a controller from this machine",
		Long: `Serves the controller's web console on a loopback address of this machine, over a
connection that knows the controller by its fingerprint. So a browser shows it
without a warning about the controller's own certificate, and nobody else can get
between. Sign in with an access key.

The controller serves the same pages itself, at /console/ of its port.`,
		Example: "  causeway console\n  causeway console --listen 127.0.0.1:8080",
		Args:    noArgs,
		RunE:    func(c *command, _ []string) error { return runConsole(c, listen, profile) },
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:4641", "loopback address to serve it on; :PORT is 127.0.0.1:PORT")
	c.Flags().StringVar(&profile, "profile", "", "file that says which controller (default: as with the other commands)")
	return c
}

func runConsole(c *command, listen, file string) error {
	address, err := loopback(listen)
	if err != nil || !address.IP.IsLoopback() {
		return cli.Misuse("--listen is %q; allowed: a loopback address with a port, since the way to the browser is not encrypted; such as 127.0.0.1:4641", listen)
	}
	profile, err := cli.ReadProfile(file)
	if err != nil {
		return err
	}
	controller, err := url.Parse(profile.Controller)
	if err != nil {
		return fmt.Errorf("open the console: the profile's controller is %q, which is no address: %w", profile.Controller, err)
	}
	ctx, cancel := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	listener, err := net.ListenTCP("tcp", address)
	if err != nil {
		return fmt.Errorf("open the console: %w; use another port with --listen", err)
	}
	fmt.Fprintf(c.OutOrStdout(), "The console of %s is at http://%s%s\nSign in with an access key; stop with Ctrl-C.\n", profile.Controller, listener.Addr(), console.Path)
	server := &http.Server{
		Handler: toController(controller, profile.Fingerprint, listener.Addr().String()), ReadHeaderTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
	}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the console: %w", err)
	}
	return nil
}

// loopback is the address that listen says; without a host, 127.0.0.1.
func loopback(listen string) (*net.TCPAddr, error) {
	if strings.HasPrefix(listen, ":") {
		listen = "127.0.0.1" + listen
	}
	return net.ResolveTCPAddr("tcp", listen)
}

// ours reports whether a request's Host is that of a server at address: browsers
// leave out the port when it is 80 (RFC 9110 section 4.2.3).
func ours(host, address string) bool {
	name, port, _ := net.SplitHostPort(address)
	for _, name := range []string{name, "localhost"} {
		if strings.EqualFold(host, net.JoinHostPort(name, port)) {
			return true
		}
		if strings.Contains(name, ":") {
			name = "[" + name + "]"
		}
		if port == "80" && strings.EqualFold(host, name) {
			return true
		}
	}
	return false
}

// toController passes requests on to a controller that has the fingerprint. Only
// those that were meant for us: a page from elsewhere whose name was made to
// point here (DNS rebinding) gets nothing.
func toController(controller *url.URL, fingerprint, host string) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(controller)
			r.Out.Host = controller.Host
		},
		Transport:     &http.Transport{TLSClientConfig: pki.ClientConfig(fingerprint, nil), ForceAttemptHTTP2: true, TLSHandshakeTimeout: time.Minute},
		FlushInterval: -1, // streams as they come
		ErrorLog:      slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, fmt.Sprintf("the controller at %s cannot be reached: %v", controller, err), http.StatusBadGateway)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !ours(r.Host, host) {
			http.Error(w, "this is no address of the console", http.StatusMisdirectedRequest)
			return
		}
		proxy.ServeHTTP(w, r)
	})
}
