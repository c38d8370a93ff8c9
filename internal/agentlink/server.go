package agentlink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"

	agentv1 "causeway/api/gen/causeway/agent/v1"
	"causeway/api/gen/causeway/agent/v1/agentv1connect"
	"causeway/internal/pki"
)

// Register adds the server's end to mux. Requests must have come over TLS with
// pki's ServerConfig, so that certificates that are shown have been verified. Paths
// are where it is, for who puts something in front.
func Register(mux *http.ServeMux, c Controller) (paths []string) {
	s := &server{c}
	enrol, handler := agentv1connect.NewEnrolmentServiceHandler(enrolment{s}, connect.WithReadMaxBytes(maxEnrol))
	mux.Handle(enrol, handler)
	path, handler := agentv1connect.NewAgentServiceHandler(agents{s}, connect.WithReadMaxBytes(maxMessage))
	mux.Handle(path, identified(handler))
	return []string{enrol, path}
}

type server struct{ controller Controller }

// identity is who an agent showed to be.
type identity struct {
	pop, serial string
	certificate *x509.Certificate
}

type identityKey struct{}

// identified lets through who showed an agent's certificate.
func identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, ok := identify(r.TLS)
		if !ok {
			_ = connect.NewErrorWriter().Write(w, r, connect.NewError(connect.CodeUnauthenticated, errors.New("an agent must show its certificate; enrol with a token to get one")))
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, id)))
	})
}

func identify(s *tls.ConnectionState) (identity, bool) {
	if s == nil || len(s.VerifiedChains) == 0 {
		return identity{}, false
	}
	leaf := s.PeerCertificates[0]
	unit := leaf.Subject.OrganizationalUnit
	if leaf.Subject.CommonName == "" || len(unit) != 1 || unit[0] != "pop" {
		return identity{}, false
	}
	return identity{leaf.Subject.CommonName, SerialText(leaf.SerialNumber.Bytes()), leaf}, true
}

// SerialText is how a certificate's serial number is written.
func SerialText(serial []byte) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for _, c := range serial {
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

// caller returns who asks, when its certificate is still good.
func (s *server) caller(ctx context.Context) (identity, error) {
	id := ctx.Value(identityKey{}).(identity)
	return id, s.controller.Good(ctx, id.pop, id.serial)
}

type enrolment struct{ *server }

func (s enrolment) Enrol(ctx context.Context, r *connect.Request[agentv1.EnrolRequest]) (*connect.Response[agentv1.EnrolResponse], error) {
	key, err := pki.ReadRequest(r.Msg.GetCertificateRequest())
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	pop, certificate, err := s.controller.Enrol(ctx, Machine{Token: r.Msg.GetToken(), PublicKey: r.Msg.GetPublicKey(), Key: key})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&agentv1.EnrolResponse{Pop: pop, Certificate: certificate}), nil
}

type agents struct{ *server }

func (s agents) Follow(ctx context.Context, r *connect.Request[agentv1.FollowRequest], stream *connect.ServerStream[agentv1.FollowResponse]) error {
	id, err := s.caller(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	updates := make(chan Update)
	ended := make(chan error, 1)
	go func() {
		ended <- s.controller.Follow(ctx, id.pop, id.serial, Have{r.Msg.GetVersion(), r.Msg.GetDigest()}, func(u Update) error {
			select {
			case updates <- u:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	}()
	err = s.send(stream, updates, ended)
	cancel(err)
	if errors.Is(err, context.Canceled) {
		return connect.NewError(connect.CodeUnavailable, errors.New("the controller is stopping"))
	}
	return err
}

// send writes updates, and signs of life in between, until Follow ends or the
// agent is gone. It alone writes on the stream.
func (s agents) send(stream *connect.ServerStream[agentv1.FollowResponse], updates <-chan Update, ended chan error) error {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	message := &agentv1.FollowResponse{} // the first goes at once: the agent sees that it got through
	for {
		if err := stream.Send(message); err != nil {
			go func() { <-ended }() // Follow ends with the context
			return err
		}
		select {
		case err := <-ended:
			return err
		case u := <-updates:
			message = &agentv1.FollowResponse{Version: u.Version, Digest: u.Digest, Snapshot: u.Snapshot}
		case <-ticker.C:
			message = &agentv1.FollowResponse{}
		}
	}
}

func (s agents) Report(ctx context.Context, r *connect.Request[agentv1.ReportRequest]) (*connect.Response[agentv1.ReportResponse], error) {
	id, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	m := r.Msg
	err = s.controller.Report(ctx, id.pop, Report{
		Applied: Have{m.GetApplied(), m.GetAppliedDigest()}, Refused: Have{m.GetRefused(), m.GetRefusedDigest()}, Reason: m.GetReason(),
		JSON: m.GetJson(), Build: m.GetBuild(), Sessions: int(m.GetSessions()),
	})
	return connect.NewResponse(&agentv1.ReportResponse{}), err
}

func (s agents) Renew(ctx context.Context, _ *connect.Request[agentv1.RenewRequest]) (*connect.Response[agentv1.RenewResponse], error) {
	id, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	certificate, err := s.controller.Renew(ctx, id.pop, id.certificate.SerialNumber, id.certificate.PublicKey)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&agentv1.RenewResponse{Certificate: certificate}), nil
}
