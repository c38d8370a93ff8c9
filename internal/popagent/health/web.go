package health

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"causeway/internal/snapshot"
)

// httpGet asks for the check's path. 2xx and 3xx are well; redirects are not
// followed, as they lead elsewhere. Certificates are not judged: the question is
// whether it lives.
func httpGet(ctx context.Context, t Target) (time.Duration, error) {
	scheme := "http"
	if t.Check.Probe == snapshot.ProbeHTTPS {
		scheme = "https"
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return t.dialer("tcp").DialContext(ctx, network, t.address())
		},
		TLSClientConfig:        &tls.Config{InsecureSkipVerify: true, ServerName: t.Domain},
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+t.address()+t.Check.Path, nil)
	if err != nil {
		return 0, &BarredError{err}
	}
	request.Host = cmp.Or(t.Domain, request.Host)
	request.Header.Set("User-Agent", "causeway-health")
	began := time.Now()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, ours(err)
	}
	rtt := time.Since(began)
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10)
	response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 399 {
		return 0, fmt.Errorf("it answers %s; 2xx and 3xx are well", cmp.Or(response.Status, "nothing"))
	}
	return rtt, nil
}

var errSilent = errors.New("no answer in time")
