// Package server is one controller as a process has it: the service over a
// store, the native API and the agents' link on one TLS port, and the controller
// that hands out snapshots. What the process is told on its command line and
// which store it opens is left to its caller.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"connectrpc.com/connect"

	"causeway/internal/agentlink"
	"causeway/internal/control/auth"
	"causeway/internal/control/console"
	"causeway/internal/control/controller"
	"causeway/internal/control/rpcapi"
	"causeway/internal/control/service"
	"causeway/internal/control/store"
	"causeway/internal/control/store/etcdstore"
	"causeway/internal/control/throttle"
	"causeway/internal/history"
	"causeway/internal/pki"
	"causeway/internal/resource"
)

// Options say what a controller runs on.
type Options struct {
	Store    store.Store
	Dir      string           // holds the authority and the seal key; those of several controllers on one store must be the same
	Address  string           // how other controllers on the store reach this one, https://host:port; "": not at all
	SealKeys []string         // files of keys: the first seals secrets, all open them; default: seal.key in Dir
	Listener net.Listener     // TCP; taken over
	Resolver service.Resolver // of endpoints' domains; nil: groups with domains are refused
	Version  string           // of this program
	Log      *slog.Logger
	Aliyun   *Aliyun // where the compatible API is served; nil: nowhere

	History      *history.Store        // where PoPs' reports are kept and told from; nil: nowhere
	Interceptors []connect.Interceptor // of API calls
	Limits       throttle.Limits       // how often each caller may ask
}

// Server is a controller.
type Server struct {
	options    Options
	service    *service.Service
	controller *controller.Controller
	authority  *pki.Authority
	neighbours *neighbours
	throttle   *throttle.Throttle
}

// New prepares a controller: it reads the keys in its folder, or makes them.
func New(o Options) (*Server, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("start controller: %w", err)
	}
	authority, err := pki.LoadAuthority(filepath.Join(o.Dir, "authority.pem"))
	if err != nil {
		return nil, fmt.Errorf("start controller: %w", err)
	}
	if len(o.SealKeys) == 0 {
		o.SealKeys = []string{filepath.Join(o.Dir, "seal.key")}
	}
	sealer, err := auth.LoadSealer(o.SealKeys[0], o.SealKeys[1:]...)
	if err != nil {
		return nil, fmt.Errorf("start controller: %w", err)
	}
	s := service.New(o.Store, sealer, service.Options{Resolver: o.Resolver, Log: o.Log})
	c := controller.New(s, authority, o.Log)
	if o.History != nil {
		c.KeepHistory(o.History)
	}
	c.Address = o.Address
	n := newNeighbours(s, c, authority, o.Address)
	c.Elsewhere = n.elsewhere
	return &Server{options: o, service: s, authority: authority, controller: c, neighbours: n, throttle: throttle.New(o.Limits, nil)}, nil
}

// Fingerprint is what this controller is known by.
func (s *Server) Fingerprint() string { return s.authority.Fingerprint() }

// firstKey is the name of the access key that a new store is given.
const firstKey = "first-admin"

// FirstKey makes the first admin's access key, ID.SECRET. The key is empty when
// the store has one already.
func (s *Server) FirstKey(ctx context.Context) (string, error) {
	in := resource.AccessKey{AccessKeySpec: resource.AccessKeySpec{Role: resource.Admin}}
	in.Name, in.Description = firstKey, "made when the store was new"
	keys, err := s.service.ListAccessKeys(ctx, service.Call{Caller: auth.Local}, service.Query{Limit: 1})
	if err != nil {
		return "", fmt.Errorf("look for access keys: %w", err)
	}
	if keys.Total > 0 {
		return "", nil
	}
	made, err := s.service.CreateAccessKey(ctx, service.Call{Caller: auth.Local}, in)
	switch {
	case resource.CodeOf(err) == resource.CodeExists: // another controller was first
		return "", nil
	case err != nil:
		return "", fmt.Errorf("make the first access key: %w", err)
	}
	return made.Resource.ID + "." + made.Secret, nil
}

// Run serves until ctx ends, then stops in order and returns nil.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	http1 := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog:    slog.NewLogLogger(s.options.Log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
		HTTP2:       &http.HTTP2Config{SendPingTimeout: 20 * time.Second, PingTimeout: 30 * time.Second, MaxConcurrentStreams: 1000},
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	http1.Protocols = &protocols
	served := make(chan error, 1)
	go func() { served <- http1.Serve(tls.NewListener(s.options.Listener, s.authority.ServerConfig())) }()
	followed := make(chan error, 1)
	go func() { followed <- s.controller.Run(ctx) }()
	compatible := make(chan error, 1)
	go func() { compatible <- s.serveAliyun(ctx) }()
	s.options.Log.Info("controller is running", "address", s.options.Listener.Addr(), "fingerprint", s.Fingerprint())
	var err error
	select {
	case <-ctx.Done():
	case err = <-served:
		served <- nil
	case err = <-compatible:
		compatible <- nil
	}
	s.options.Log.Info("controller is stopping")
	cancel() // ends streams, so that Shutdown need not wait for them
	shutdown, done := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer done()
	if http1.Shutdown(shutdown) != nil {
		http1.Close()
	}
	if later := <-served; err == nil && !errors.Is(later, http.ErrServerClosed) {
		err = later
	}
	if later := <-compatible; err == nil {
		err = later
	}
	<-followed
	s.controller.Close()
	s.neighbours.close()
	return err
}

func (s *Server) handler() http.Handler {
	mux, agents := http.NewServeMux(), http.NewServeMux()
	for _, path := range agentlink.Register(agents, s.controller) {
		mux.Handle(path, s.throttle.Agents(agents))
	}
	rpcapi.Register(mux, s.service, rpcapi.Options{
		Version: s.options.Version, Fingerprint: s.Fingerprint(),
		Backup:     s.backup(),
		LastReport: s.neighbours.lastReport,
		History:    s.options.History, Interceptors: s.options.Interceptors, Throttle: s.throttle,
	})
	if err := console.Register(mux); err != nil { // a build without its pages serves everything else
		s.options.Log.Error("the console is not served", "error", err)
	}
	mux.HandleFunc("GET "+reportPath, s.neighbours.serve)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		if _, err := s.service.Compiled(ctx); err != nil {
			http.Error(w, "the store does not answer", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	})
	return mux
}

// backup returns what writes a backup of the store, or nil when the store has none.
func (s *Server) backup() func(context.Context, io.Writer) error {
	saver, can := s.options.Store.(interface {
		SaveSnapshot(ctx context.Context, file string) (etcdstore.SnapshotInfo, error)
	})
	if !can {
		return nil
	}
	return func(ctx context.Context, to io.Writer) error {
		dir, err := os.MkdirTemp(s.options.Dir, "backup-")
		if err != nil {
			return fmt.Errorf("make a backup: %w", err)
		}
		defer os.RemoveAll(dir)
		info, err := saver.SaveSnapshot(ctx, filepath.Join(dir, "snapshot"))
		if err != nil {
			return err
		}
		f, err := os.Open(info.File)
		if err != nil {
			return fmt.Errorf("make a backup: %w", err)
		}
		defer f.Close()
		_, err = io.Copy(to, f)
		return err
	}
}

// Restored tells everybody that the store was restored from a backup.
func (s *Server) Restored(ctx context.Context) error { return s.service.Restored(ctx) }
