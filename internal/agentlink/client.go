package agentlink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	agentv1 "causeway/api/gen/causeway/agent/v1"
	"causeway/api/gen/causeway/agent/v1/agentv1connect"
	"causeway/internal/pki"
)

// Client is an agent's end.
type Client struct {
	Controllers []string      // addresses, https://host:port; the next is tried when one fails
	Credentials *Credentials  // kept on disk
	Every       time.Duration // between reports when nothing changes; default 10 s
	Log         *slog.Logger

	connected atomic.Bool
	heard     atomic.Int64 // nanoseconds since 1970; 0: never
}

// Link says whether the controller is in reach, and when it was heard last: zero
// for never. It may be called while Run runs.
func (c *Client) Link() (connected bool, heard time.Time) {
	if at := c.heard.Load(); at != 0 {
		heard = time.Unix(0, at)
	}
	return c.connected.Load(), heard
}

// Run follows the controller until ctx ends: it delivers snapshots, sends
// reports, and renews the certificate. It never gives up; who is not in reach is
// tried again.
func (c *Client) Run(ctx context.Context, a Agent) {
	if c.Every == 0 {
		c.Every = 10 * time.Second
	}
	have := c.Credentials.Have()
	for attempt := 0; ctx.Err() == nil; attempt++ {
		address := c.Controllers[attempt%len(c.Controllers)]
		started := time.Now()
		err := c.follow(ctx, address, a, &have)
		if ctx.Err() != nil {
			return
		}
		if time.Since(started) > silence {
			attempt = 0
		}
		c.Log.Warn("the controller is not in reach; what runs goes on", "controller", address, "reason", reason(err))
		pause(ctx, attempt)
	}
}

// follow is one connection, until it breaks.
func (c *Client) follow(ctx context.Context, address string, a Agent, have *Have) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	transport := newTransport(pki.ClientConfig(c.Credentials.Fingerprint, c.Credentials.Certificate))
	defer transport.CloseIdleConnections()
	client := agentv1connect.NewAgentServiceClient(&http.Client{Transport: transport}, address, connect.WithReadMaxBytes(maxMessage))

	alive := time.AfterFunc(silence, func() { cancel(errors.New("no sign of life for a minute")) })
	defer alive.Stop()
	stream, err := client.Follow(ctx, connect.NewRequest(&agentv1.FollowRequest{Version: have.Version, Digest: have.Digest}))
	if err != nil {
		return causeOf(ctx, err)
	}
	defer stream.Close()
	deliveries := make(chan Update, 1) // holds the newest only
	var others sync.WaitGroup
	defer others.Wait()
	defer cancel(nil) // before waiting: deferred calls run from the last
	connected := false
	defer c.connected.Store(false)
	for stream.Receive() {
		alive.Reset(silence)
		c.heard.Store(time.Now().UnixNano())
		c.connected.Store(true)
		if !connected {
			connected = true
			c.Log.Info("the controller is in reach", "controller", address)
			others.Go(func() { c.deliver(ctx, a, deliveries, have) })
			others.Go(func() { c.report(ctx, client, a) })
			others.Go(func() { c.renew(ctx, client) })
		}
		if m := stream.Msg(); m.GetVersion() > 0 && len(m.GetSnapshot()) > 0 {
			select {
			case <-deliveries: // a newer one has come
			default:
			}
			deliveries <- Update{m.GetVersion(), m.GetDigest(), m.GetSnapshot()}
		}
	}
	return causeOf(ctx, stream.Err())
}

// deliver hands snapshots over, one at a time.
func (c *Client) deliver(ctx context.Context, a Agent, deliveries <-chan Update, have *Have) {
	for {
		select {
		case <-ctx.Done():
			return
		case u := <-deliveries:
			if err := a.Deliver(ctx, u); err != nil {
				continue // so that a connection to come brings it again
			}
			*have = Have{u.Version, u.Digest}
			if err := c.Credentials.keepHave(*have); err != nil {
				c.Log.Warn("which snapshot was received could not be noted; it will be sent again", "reason", err)
			}
		}
	}
}

// report tells how the agent is: at once, whenever something changed, and
// every now and then.
func (c *Client) report(ctx context.Context, client agentv1connect.AgentServiceClient, a Agent) {
	ticker := time.NewTicker(c.Every)
	defer ticker.Stop()
	for {
		r := a.Report(ctx)
		call, cancel := context.WithTimeout(ctx, callTimeout)
		_, err := client.Report(call, connect.NewRequest(&agentv1.ReportRequest{
			Applied: r.Applied.Version, AppliedDigest: r.Applied.Digest, Refused: r.Refused.Version, RefusedDigest: r.Refused.Digest, Reason: r.Reason,
			Json: r.JSON, At: timestamppb.Now(), Build: r.Build, Sessions: int32(r.Sessions),
		}))
		cancel()
		if err != nil && ctx.Err() == nil {
			c.Log.Debug("a report did not get through", "reason", reason(err))
		}
		select {
		case <-ctx.Done():
			return
		case <-a.Changed():
		case <-ticker.C:
		}
	}
}

// renew gets a new certificate when a third of the old one's life is over.
func (c *Client) renew(ctx context.Context, client agentv1connect.AgentServiceClient) {
	for {
		leaf := c.Credentials.Certificate().Leaf
		due := leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 3)
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(time.Until(due), 0)):
		}
		if err := c.renewNow(ctx, client); err != nil {
			if ctx.Err() == nil {
				c.Log.Warn("the certificate could not be renewed; it will be tried again", "until", leaf.NotAfter, "reason", reason(err))
			}
			pause(ctx, 100)
			continue
		}
		c.Log.Info("the certificate was renewed", "until", c.Credentials.Certificate().Leaf.NotAfter)
	}
}

func (c *Client) renewNow(ctx context.Context, client agentv1connect.AgentServiceClient) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := client.Renew(ctx, connect.NewRequest(&agentv1.RenewRequest{}))
	if err != nil {
		return err
	}
	return c.Credentials.Replace(answer.Msg.GetCertificate())
}

// newTransport is HTTP/2 that bears bad paths.
func newTransport(config *tls.Config) *http.Transport {
	return &http.Transport{
		TLSClientConfig: config, ForceAttemptHTTP2: true, TLSHandshakeTimeout: silence,
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
}

// pause waits before the next attempt: a little at first, longer later, and
// never as long as others do.
func pause(ctx context.Context, attempt int) {
	longest := min(maxRetry, 200*time.Millisecond<<min(attempt, 10))
	select {
	case <-ctx.Done():
	case <-time.After(longest/2 + rand.N(longest/2)):
	}
}

// causeOf is why ctx was ended, where that is why err came.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	if err == nil {
		return errors.New("the controller ended the connection")
	}
	return err
}

// reason is an error without the address, which is said beside it.
func reason(err error) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err.Error()
	}
	if err == nil {
		return "unknown"
	}
	return err.Error()
}

var errNoController = errors.New("no controller's address was given")

func checkAddresses(addresses []string) error {
	if len(addresses) == 0 {
		return errNoController
	}
	for _, a := range addresses {
		u, err := url.Parse(a)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" {
			return fmt.Errorf("%q is no controller's address; allowed: https://HOST:PORT", a)
		}
	}
	return nil
}
