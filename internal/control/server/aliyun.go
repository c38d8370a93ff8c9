package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"causeway/internal/control/aliyunapi"
)

// Aliyun is where the compatible API is served.
type Aliyun struct {
	Listener    net.Listener     // TCP; taken over. HTTP and HTTPS come in on it alike
	Certificate *tls.Certificate // that clients trust; nil: the controller's own
	AllowPlain  bool             // take HTTP from other machines as well
}

// serveAliyun serves the compatible API until ctx ends. It only waits when there
// is nowhere to.
func (s *Server) serveAliyun(ctx context.Context) error {
	o := s.options.Aliyun
	if o == nil {
		<-ctx.Done()
		return nil
	}
	config := s.authority.ServerConfig()
	if o.Certificate != nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*o.Certificate}}
	}
	config = config.Clone()
	config.NextProtos = []string{"http/1.1"}
	api := aliyunapi.New(aliyunapi.Options{Service: s.service, AllowPlain: o.AllowPlain, Log: s.options.Log, LastReport: s.neighbours.lastReport, Throttle: s.throttle})
	server := &http.Server{
		Handler: api, ReadHeaderTimeout: 20 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: aliyunapi.MaxHeaderBytes,
		ErrorLog:    slog.NewLogLogger(s.options.Log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(newEither(o.Listener, config)) }()
	s.options.Log.Info("compatible API is served", "address", o.Listener.Addr())
	var err error
	select {
	case <-ctx.Done():
	case err = <-served:
		served <- nil
	}
	shutdown, done := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer done()
	if server.Shutdown(shutdown) != nil {
		server.Close()
	}
	if later := <-served; err == nil && !errors.Is(later, http.ErrServerClosed) {
		err = later
	}
	return err
}

// either takes TLS and plain connections on one port: a TLS client speaks first,
// and its first byte is 22 (RFC 8446 section 5.1), which no HTTP request begins with.
type either struct {
	net.Listener
	config  *tls.Config
	ready   chan net.Conn
	stopped chan struct{}
	stop    sync.Once
}

// sniffTime is how long a new connection may be silent.
const sniffTime = 20 * time.Second

func newEither(l net.Listener, config *tls.Config) *either {
	e := &either{Listener: l, config: config, ready: make(chan net.Conn), stopped: make(chan struct{})}
	go e.run()
	return e
}

func (e *either) run() {
	for {
		conn, err := e.Listener.Accept()
		if err != nil {
			e.stop.Do(func() { close(e.stopped) })
			return
		}
		go e.sniff(conn)
	}
}

func (e *either) sniff(conn net.Conn) {
	reader := bufio.NewReaderSize(conn, 512)
	_ = conn.SetReadDeadline(time.Now().Add(sniffTime))
	spoke := make(chan struct{})
	go func() { // the silent are not waited for at the end
		select {
		case <-e.stopped:
			_ = conn.SetReadDeadline(time.Unix(1, 0))
		case <-spoke:
		}
	}()
	first, err := reader.Peek(1)
	close(spoke)
	_ = conn.SetReadDeadline(time.Time{})
	if err != nil {
		conn.Close()
		return
	}
	var ready net.Conn = &peeked{conn, reader}
	if first[0] == 22 {
		ready = tls.Server(ready, e.config)
	}
	select {
	case e.ready <- ready:
	case <-e.stopped:
		conn.Close()
	}
}

func (e *either) Accept() (net.Conn, error) {
	select {
	case conn := <-e.ready:
		return conn, nil
	case <-e.stopped:
		return nil, net.ErrClosed
	}
}

func (e *either) Close() error {
	e.stop.Do(func() { close(e.stopped) })
	return e.Listener.Close()
}

// peeked is a connection whose first bytes were read already.
type peeked struct {
	net.Conn
	reader *bufio.Reader
}

func (p *peeked) Read(b []byte) (int, error) { return p.reader.Read(b) }
