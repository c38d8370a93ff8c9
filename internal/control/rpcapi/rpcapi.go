// Package rpcapi is the native API: Connect, which is gRPC and JSON over HTTP
// in one. It says who is calling, decodes, calls the service, and encodes; every
// rule, also who may do what, is the service's. One file per noun.
package rpcapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"io"
	"net/http"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"causeway/api/gen/causeway/v1/causewayv1connect"
	"causeway/internal/apiform"
	"causeway/internal/control/auth"
	"causeway/internal/control/overview"
	"causeway/internal/control/service"
	"causeway/internal/control/throttle"
	"causeway/internal/history"
	"causeway/internal/resource"
)

// maxRequest bounds one request, in bytes: a file for `causeway apply` of
// thousands of resources.
const maxRequest = 16 << 20

// Options are what the API tells besides the service's answers.
type Options struct {
	Version     string                                        // of this program
	Fingerprint string                                        // of the authority; goes into enrolment tokens
	Backup      func(ctx context.Context, to io.Writer) error // writes a backup of the store; nil: it has none
	LastReport  func(pop string) (json []byte, have bool)     // what a PoP reported last to this controller
	History     *history.Store                                // what PoPs reported before; nil: not kept
	Throttle    *throttle.Throttle                            // how often callers may ask; nil: as often as they like
	// Interceptors see every call before it is judged: they time it and trace it.
	Interceptors []connect.Interceptor
}

// Register adds the API to mux.
func Register(mux *http.ServeMux, s *service.Service, o Options) {
	a := &api{service: s, options: o, overviews: overview.New(o.LastReport)}
	handle := a.handle(mux)
	common := []connect.HandlerOption{connect.WithReadMaxBytes(maxRequest), connect.WithInterceptors(append(slices.Clone(o.Interceptors), a)...)}
	handle(causewayv1connect.NewRegionServiceHandler(a, common...))
	handle(causewayv1connect.NewPoPServiceHandler(a, common...))
	handle(causewayv1connect.NewAcceleratorServiceHandler(a, common...))
	handle(causewayv1connect.NewBandwidthPackageServiceHandler(a, common...))
	handle(causewayv1connect.NewIPSetServiceHandler(a, common...))
	handle(causewayv1connect.NewACLServiceHandler(a, common...))
	handle(causewayv1connect.NewListenerServiceHandler(a, common...))
	handle(causewayv1connect.NewEgressIPServiceHandler(a, common...))
	handle(causewayv1connect.NewEndpointGroupServiceHandler(a, common...))
	handle(causewayv1connect.NewVPNGatewayServiceHandler(a, common...))
	handle(causewayv1connect.NewCustomerGatewayServiceHandler(a, common...))
	handle(causewayv1connect.NewIPsecConnectionServiceHandler(a, common...))
	handle(causewayv1connect.NewVPNRouteServiceHandler(a, common...))
	handle(causewayv1connect.NewAccessKeyServiceHandler(a, common...))
	handle(causewayv1connect.NewTokenServiceHandler(a, common...))
	handle(causewayv1connect.NewControlServiceHandler(a, common...))
	handle(causewayv1connect.NewHistoryServiceHandler(a, common...))
	handle(causewayv1connect.NewOverviewServiceHandler(a, common...))
	handle(causewayv1connect.NewAuditServiceHandler(a, common...))
}

// handle returns what adds a service to mux, for callers that are known: of
// others, nothing but the header is read.
func (a *api) handle(mux *http.ServeMux) func(path string, h http.Handler) {
	refuse := connect.NewErrorWriter()
	return func(path string, h http.Handler) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			from, id := auth.AddressOf(r.RemoteAddr), claimed(r.Header)
			if wait := a.options.Throttle.Knock(from, id); wait > 0 {
				throttle.Refuse(w, r, throttle.ErrorOfAddress(wait), wait)
				return
			}
			caller, err := a.identify(r.Context(), r.Header)
			if err != nil {
				if resource.CodeOf(err) == resource.CodeUnauthenticated {
					a.options.Throttle.Failed(from)
				}
				_ = refuse.Write(w, r, apiform.EncodeError(err))
				return
			}
			a.options.Throttle.Proven(from, id)
			if wait := a.options.Throttle.Ask(caller.Name); wait > 0 {
				throttle.Refuse(w, r, throttle.Error(wait), wait)
				return
			}
			caller.From = from
			h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, caller)))
		})
	}
}

// api implements the services of all nouns.
type api struct {
	service   *service.Service
	options   Options
	overviews *overview.Maker
}

type callerKey struct{}

// callerOf returns who is calling; the zero Caller is nobody, who may do nothing.
func callerOf(ctx context.Context) auth.Caller {
	caller, _ := ctx.Value(callerKey{}).(auth.Caller)
	return caller
}

// admit returns nil when the caller may call a procedure. The service judges
// once more, knowing the request.
func admit(caller auth.Caller, procedure string) error {
	if caller.Role == "" {
		return auth.Authorize(caller, "GetRegion") // nobody may do anything
	}
	return auth.Authorize(caller, procedure[strings.LastIndexByte(procedure, '/')+1:])
}

// WrapUnary admits the caller, and encodes errors.
func (a *api) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		if err := admit(callerOf(ctx), r.Spec().Procedure); err != nil {
			return nil, apiform.EncodeError(err)
		}
		answer, err := next(ctx, r)
		if err != nil {
			return nil, apiform.EncodeError(err)
		}
		return answer, nil
	}
}

// WrapStreamingHandler does the same for streams.
func (a *api) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, c connect.StreamingHandlerConn) error {
		if err := admit(callerOf(ctx), c.Spec().Procedure); err != nil {
			return apiform.EncodeError(err)
		}
		return apiform.EncodeError(next(ctx, c))
	}
}

// WrapStreamingClient is for clients, which this is not.
func (a *api) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// claimed is the ID of the access key that a request says is its caller's.
func claimed(h http.Header) string {
	_, value, _ := strings.Cut(h.Get("Authorization"), " ")
	id, _, _ := strings.Cut(strings.TrimSpace(value), ".")
	return id
}

// identify finds the caller by the header
//
//	Authorization: Bearer ACCESS-KEY-ID.SECRET
//
// The connection is TLS to a controller that the client knows by fingerprint, so
// the secret may travel. Whether the ID is unknown or the secret is wrong is not
// told.
func (a *api) identify(ctx context.Context, h http.Header) (auth.Caller, error) {
	scheme, value, _ := strings.Cut(h.Get("Authorization"), " ")
	id, secret, ok := strings.Cut(strings.TrimSpace(value), ".")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return auth.Caller{}, resource.Errorf(resource.CodeUnauthenticated, "the request does not say who is calling").
			WithFix("send the header Authorization: Bearer ID.SECRET with an access key")
	}
	caller, want, err := a.service.Identify(ctx, id)
	if err != nil {
		return auth.Caller{}, err
	}
	given, stored := sha256.Sum256([]byte(secret)), sha256.Sum256(want)
	if subtle.ConstantTimeCompare(given[:], stored[:]) != 1 {
		return auth.Caller{}, resource.Errorf(resource.CodeUnauthenticated, "no access key that is in use has this ID and secret").
			WithFix("check the key, or have an admin make a new one: causeway access-key create")
	}
	return caller, nil
}

// read is a Call that changes nothing.
func read(ctx context.Context) service.Call { return service.Call{Caller: callerOf(ctx)} }

// mutation is what every changing request has.
type mutation interface {
	proto.Message
	GetRequestId() string
	GetDryRun() bool
}

// call is how a request asks for its mutation. The fingerprint covers all of it,
// so that a request_id that comes again with another request is refused.
func call(ctx context.Context, m mutation) service.Call {
	c := service.Call{Caller: callerOf(ctx), Token: m.GetRequestId(), DryRun: m.GetDryRun()}
	if expecting, ok := m.(interface{ GetExpectedRevision() int64 }); ok {
		c.Expect = expecting.GetExpectedRevision()
	}
	if c.Token != "" {
		text, _ := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		sum := sha256.Sum256(append([]byte(m.ProtoReflect().Descriptor().FullName()+"\x00"), text...))
		c.Fingerprint = hex.EncodeToString(sum[:])
	}
	return c
}
