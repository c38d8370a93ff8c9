package throttle

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"

	"causeway/internal/apiform"
	"causeway/internal/control/auth"
	"causeway/internal/resource"
)

// Error is the refusal of a caller who must wait.
func Error(wait time.Duration) *resource.Error {
	return resource.Errorf(resource.CodeThrottled, "there were too many requests of this caller").
		WithFix("wait %d s, and ask less often; the controller's --api-rate and --api-burst say how often it may be", seconds(wait))
}

// ErrorOfAddress is the refusal of an address that failed to sign in too often.
func ErrorOfAddress(wait time.Duration) *resource.Error {
	return resource.Errorf(resource.CodeThrottled, "too many requests from this address did not prove who sent them").
		WithFix("wait %d s, and use an access key that is known and switched on", seconds(wait))
}

// seconds is a wait as Retry-After has it (RFC 9110 section 10.2.3).
func seconds(wait time.Duration) int { return max(int(math.Ceil(wait.Seconds())), 1) }

// RetryAfter is the header in which an answer says how long to wait, and its value.
func RetryAfter(wait time.Duration) (header, value string) {
	return "Retry-After", strconv.Itoa(seconds(wait))
}

// Refuse answers an RPC with e.
func Refuse(w http.ResponseWriter, r *http.Request, e *resource.Error, wait time.Duration) {
	told := apiform.EncodeError(e)
	header, value := RetryAfter(wait)
	if c := (*connect.Error)(nil); errors.As(told, &c) {
		c.Meta().Set(header, value)
	}
	w.Header().Set(header, value)
	_ = connect.NewErrorWriter().Write(w, r, told)
}

// Agents bounds what agents ask through next: each certificate for itself, and
// each address that comes without one, or with a token that is not good.
func (t *Throttle) Agents(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
			if wait := t.Ask("agent " + r.TLS.PeerCertificates[0].Subject.CommonName); wait > 0 {
				Refuse(w, r, Error(wait), wait)
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		from := auth.AddressOf(r.RemoteAddr)
		if wait := t.Knock(from, ""); wait > 0 {
			Refuse(w, r, ErrorOfAddress(wait), wait)
			return
		}
		outcome := &outcome{ResponseWriter: w}
		next.ServeHTTP(outcome, r)
		if outcome.refused() {
			t.Failed(from)
		}
	})
}

// outcome is an answer whose status is looked at.
type outcome struct {
	http.ResponseWriter
	status int
}

func (o *outcome) WriteHeader(status int) {
	o.status = status
	o.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach what is below.
func (o *outcome) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// Flush is what streams need.
func (o *outcome) Flush() { _ = http.NewResponseController(o.ResponseWriter).Flush() }

// refused reports that the answer was that nobody knows who asks: as Connect says
// it, or as gRPC does.
func (o *outcome) refused() bool {
	grpc := o.Header().Get("Grpc-Status") + o.Header().Get(http.TrailerPrefix+"Grpc-Status")
	return o.status == http.StatusUnauthorized || grpc == strconv.Itoa(int(connect.CodeUnauthenticated))
}
