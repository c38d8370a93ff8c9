package aliyunapi

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"causeway/internal/control/auth"
	"causeway/internal/control/service"
	"causeway/internal/control/throttle"
)

// Bounds of requests, in bytes, and of how many are carried out at once.
const (
	maxBody     = 128 << 10
	maxQuery    = 256 << 10
	maxInFlight = 256
)

// MaxHeaderBytes is what the server in front must let through: the vendor's SDK
// puts all parameters into the query.
const MaxHeaderBytes = maxQuery + 64<<10

// Options are what the API runs with.
type Options struct {
	Service *service.Service
	// AllowPlain takes requests that did not come over TLS from other machines.
	// They may hold keys of tunnels; from this machine they are always taken.
	AllowPlain bool
	LastReport func(pop string) (json []byte, have bool) // what a PoP reported last to this controller; nil: nothing is known
	Throttle   *throttle.Throttle                        // how often callers may ask; nil: as often as they like
	Now        func() time.Time                          // default time.Now
	Log        *slog.Logger                              // default: nothing is logged
}

// API answers the compatible API's requests.
type API struct {
	service    *service.Service
	signatures *signatures
	locks      *locks
	lastReport func(pop string) ([]byte, bool)
	now        func() time.Time
	throttle   *throttle.Throttle
	plain      bool
	room       chan struct{}
	log        *slog.Logger
}

// New returns the API over a service.
func New(o Options) *API {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &API{
		service: o.Service, now: o.Now, plain: o.AllowPlain, throttle: o.Throttle, log: o.Log, room: make(chan struct{}, maxInFlight), locks: newLocks(), lastReport: o.LastReport,
		signatures: &signatures{identify: o.Service.Identify, now: o.Now, seen: newNonces()},
	}
}

// reply is an answer's fields. Their types are those that the vendor's SDKs
// want, lists are never null.
type reply map[string]any

// ServeHTTP answers one request. No parameter reaches the log.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := requestID()
	var act *action
	defer func() {
		if crash := recover(); crash != nil {
			a.log.Error("a request of the compatible API crashed", "action", act.label(), "kind", fmt.Sprintf("%T", crash), "stack", string(debug.Stack()))
			writeError(w, r, id, refuse("InternalError", "something went wrong inside the controller; look into its log"))
		}
	}()
	var answer reply
	var err error
	answer, act, err = a.answer(r)
	if err != nil {
		var kindly *Error
		if act != nil {
			kindly = vendorError(act.kind, err)
		} else {
			kindly = vendorError("", err)
		}
		if kindly.Status >= 500 {
			a.log.Error("a request of the compatible API failed", "action", act.label(), "code", kindly.Code)
		}
		writeError(w, r, id, kindly)
		return
	}
	if answer == nil {
		answer = reply{}
	}
	answer["RequestId"] = id
	write(w, http.StatusOK, answer)
}

// answer carries one request out.
func (a *API) answer(r *http.Request) (reply, *action, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return nil, nil, refuse("UnsupportedHTTPMethod", "the method is %s; allowed: GET, POST", clip(r.Method))
	}
	if r.TLS == nil && !a.plain && !fromHere(r) {
		return nil, nil, refuse("Forbidden.InsecureTransport", "requests may hold keys of tunnels and must come over HTTPS; start the controller with --aliyun-allow-http to take them over HTTP")
	}
	if len(r.URL.RawQuery) > maxQuery {
		return nil, nil, refuse("RequestBodyTooLarge", "the query has more than %d bytes", maxQuery)
	}
	body, err := readBody(r)
	if err != nil {
		return nil, nil, err
	}
	// Whoever sends slowly has been read to the end: what follows is short.
	select {
	case a.room <- struct{}{}:
		defer func() { <-a.room }()
	default:
		return nil, nil, refuse("ServiceUnavailable", "more than %d requests are being carried out; try again", maxInFlight)
	}
	query, err := readValues(r.URL.RawQuery)
	if err != nil {
		return nil, nil, err
	}
	all, err := allValues(r, body)
	if err != nil {
		return nil, nil, err
	}
	caller, said, err := a.known(r, query, all, body)
	if err != nil {
		return nil, nil, err
	}
	act, err := lookup(said.action, said.version)
	if err != nil {
		return nil, nil, err
	}
	root, err := newParams(all)
	if err != nil {
		return nil, act, err
	}
	c := &call{API: a, ctx: r.Context(), params: root, caller: caller, action: act, values: all}
	if c.dry, err = root.flag("DryRun", false); err != nil {
		return nil, act, err
	}
	c.dry = c.dry && act.writes
	if token := root.text("ClientToken"); len(token) > 64 || !printable(token) {
		return nil, act, refuse("InvalidParameter", "ClientToken must have at most 64 printable ASCII characters")
	}
	answer, err := act.do(c)
	if err == nil && c.dry {
		err = refuse("DryRunOperation", "the request would have been carried out; DryRun kept it from being so")
	}
	return answer, act, err
}

// known is who sent a request, when they may ask so often.
func (a *API) known(r *http.Request, query, all values, body []byte) (auth.Caller, claim, error) {
	from := auth.AddressOf(r.RemoteAddr)
	if wait := a.throttle.Knock(from, claimedKey(r, all)); wait > 0 {
		return auth.Caller{}, claim{}, refuse("Throttling", "%v", throttle.ErrorOfAddress(wait))
	}
	caller, said, err := a.signatures.caller(r, query, all, body)
	var refusal *Error
	switch {
	case errors.As(err, &refusal) && slices.Contains([]string{"InvalidAccessKeyId.NotFound", "SignatureDoesNotMatch"}, refusal.Code):
		a.throttle.Failed(from)
		return caller, said, err
	case err != nil:
		return caller, said, err
	}
	a.throttle.Proven(from, said.key)
	if wait := a.throttle.Ask(caller.Name); wait > 0 {
		return auth.Caller{}, said, refuse("Throttling.User", "%v", throttle.Error(wait))
	}
	caller.From = from
	return caller, said, nil
}

// claimedKey is the ID of the access key that a request says is its caller's, by
// either way of signing; "" when it does not say.
func claimedKey(r *http.Request, all values) string {
	if _, rest, found := strings.Cut(r.Header.Get("Authorization"), "Credential="); found {
		id, _, _ := strings.Cut(rest, ",")
		return strings.TrimSpace(id)
	}
	return all["AccessKeyId"]
}

func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, refuse("InvalidParameter", "the body did not arrive whole")
	}
	if len(body) > maxBody {
		return nil, refuse("RequestBodyTooLarge", "the body has more than %d bytes", maxBody)
	}
	return body, nil
}

// allValues is the parameters of the query and of the body.
func allValues(r *http.Request, body []byte) (values, error) {
	if len(body) == 0 {
		return readValues(r.URL.RawQuery)
	}
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind {
	case "application/x-www-form-urlencoded", "":
		return readValues(r.URL.RawQuery, string(body))
	case "application/json":
		all, err := readValues(r.URL.RawQuery)
		if err == nil {
			err = readJSON(body, all)
		}
		return all, err
	}
	return nil, refuse("InvalidParameter", "the body must be a form (application/x-www-form-urlencoded) or JSON")
}

// fromHere reports a request of this machine.
func fromHere(r *http.Request) bool {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' })
}

func write(w http.ResponseWriter, status int, body any) {
	encoded, err := json.Marshal(body)
	if err != nil {
		status, encoded = http.StatusInternalServerError, []byte(`{"Code":"InternalError","Message":"the answer cannot be encoded","RequestId":"","HostId":"","Recommend":""}`)
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(encoded)
}

// writeError answers a refusal. Every field is a string: the vendor's first SDK
// crashes on others.
func writeError(w http.ResponseWriter, r *http.Request, id string, e *Error) {
	write(w, e.Status, map[string]string{"RequestId": id, "HostId": clip(r.Host), "Code": e.Code, "Message": e.Message,
		"Recommend": "See docs/reference/aliyun.md of Causeway for " + e.Code})
}

// requestID is a random UUID in upper case.
func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}

// locks remembers at which revision each accelerator was last changed here.
type locks struct {
	mu      sync.Mutex
	touched map[string]int64
}

func newLocks() *locks { return &locks{touched: map[string]int64{}} }

func (l *locks) touch(accelerator string, revision int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.touched) > 100_000 {
		clear(l.touched) // the resources' own revisions tell most of it
	}
	l.touched[accelerator] = max(l.touched[accelerator], revision)
}

func (l *locks) since(accelerator string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.touched[accelerator]
}
