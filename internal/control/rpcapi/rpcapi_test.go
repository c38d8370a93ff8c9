package rpcapi_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/api/gen/causeway/v1/causewayv1connect"
	"causeway/internal/apiform"
	"causeway/internal/control/auth"
	"causeway/internal/control/rpcapi"
	"causeway/internal/control/service"
	"causeway/internal/control/store/memstore"
	"causeway/internal/control/throttle"
	"causeway/internal/resource"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// api is the API over an empty store, without TLS.
type api struct {
	t    *testing.T
	url  string
	keys map[resource.Role]string // ID.SECRET
}

func start(t *testing.T) *api { return startWith(t, nil) }

func startWith(t *testing.T, limits *throttle.Throttle) *api {
	t.Helper()
	sealer, err := auth.NewSealer(make([]byte, auth.SealKeySize))
	must(t, err)
	st := memstore.New()
	s := service.New(st, sealer, service.Options{Log: slog.New(slog.DiscardHandler)})
	mux := http.NewServeMux()
	rpcapi.Register(mux, s, rpcapi.Options{Version: "test", Fingerprint: strings.Repeat("f", 43), LastReport: func(string) ([]byte, bool) { return nil, false }, Throttle: limits})
	server := httptest.NewUnstartedServer(mux)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(func() { server.CloseClientConnections(); server.Close(); st.Close() })
	a := &api{t: t, url: server.URL, keys: map[resource.Role]string{}}
	for _, role := range []resource.Role{resource.Reader, resource.Operator, resource.Admin} {
		made, err := s.CreateAccessKey(context.Background(), service.Call{Caller: auth.Local}, resource.AccessKey{AccessKeySpec: resource.AccessKeySpec{Role: role}})
		must(t, err)
		a.keys[role] = made.Resource.ID + "." + made.Secret
	}
	return a
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ask returns a request with a role's key.
func ask[T any](a *api, role resource.Role, m *T) *connect.Request[T] {
	r := connect.NewRequest(m)
	r.Header().Set("Authorization", "Bearer "+a.keys[role])
	return r
}

// methods are all methods of the API.
func methods() []protoreflect.MethodDescriptor {
	var list []protoreflect.MethodDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage("causeway.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			for k := range f.Services().Get(i).Methods().Len() {
				list = append(list, f.Services().Get(i).Methods().Get(k))
			}
		}
		return true
	})
	return list
}

// needs is the least role for a method, by the service's table.
func needs(t *testing.T, m protoreflect.MethodDescriptor) resource.Role {
	name := string(m.Name())
	role, ok := auth.Table[name]
	if !ok {
		role, ok = auth.API[name]
	}
	if !ok {
		t.Errorf("%s stands in the API but not in a table of permissions", m.FullName())
	}
	if role == auth.Anyone {
		return resource.Reader // the least that is known
	}
	return role
}

func TestEveryMethodIsOpenToTheRolesInTheTableAndToNobodyElse(t *testing.T) {
	a := start(t)
	for _, m := range methods() {
		for _, role := range []resource.Role{resource.Reader, resource.Operator, resource.Admin} {
			code := a.code(m, "Bearer "+a.keys[role])
			if allowed := auth.Includes(role, needs(t, m)); allowed == (code == resource.CodeDenied) {
				t.Errorf("%s by a caller with the role %s ends with %q", m.FullName(), role, code)
			}
		}
		for _, header := range []string{"", "Bearer", "Bearer x.y", "Basic " + a.keys[resource.Admin], "Bearer " + a.keys[resource.Admin] + "x", "Bearer " + strings.Split(a.keys[resource.Admin], ".")[0] + "."} {
			if code := a.code(m, header); code != resource.CodeUnauthenticated {
				t.Errorf("%s with the header %q ends with %q", m.FullName(), header, code)
			}
		}
	}
}

// code calls a method with an empty request, and returns how it was refused.
// Watch would go on forever where it is allowed, so it asks for a kind that is not.
func (a *api) code(m protoreflect.MethodDescriptor, authorization string) resource.Code {
	request, _ := protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName())
	body := request.New().Interface()
	if w, ok := body.(*v1.WatchRequest); ok {
		w.Kinds = []string{"none"}
	}
	url := fmt.Sprintf("%s/%s/%s", a.url, m.Parent().FullName(), m.Name())
	var err error
	if m.IsStreamingServer() {
		client := connect.NewClient[v1.WatchRequest, v1.WatchResponse](http.DefaultClient, url)
		watch, _ := body.(*v1.WatchRequest)
		if watch == nil {
			watch = &v1.WatchRequest{}
		}
		r := connect.NewRequest(watch)
		r.Header().Set("Authorization", authorization)
		stream, callErr := client.CallServerStream(context.Background(), r)
		if err = callErr; err == nil {
			stream.Receive()
			err = stream.Err()
			stream.Close()
		}
	} else {
		client := connect.NewClient[v1.GetRequest, v1.Ref](http.DefaultClient, url, connect.WithCodec(empty{}))
		r := connect.NewRequest(&v1.GetRequest{})
		r.Header().Set("Authorization", authorization)
		_, err = client.CallUnary(context.Background(), r)
	}
	http.DefaultClient.CloseIdleConnections()
	if err == nil {
		return ""
	}
	return resource.CodeOf(apiform.DecodeError(err))
}

// empty sends no field and reads none.
type empty struct{}

func (empty) Name() string                { return "proto" }
func (empty) Marshal(any) ([]byte, error) { return nil, nil }
func (empty) Unmarshal([]byte, any) error { return nil }

func TestAListIsReadInPages(t *testing.T) {
	a := start(t)
	c := causewayv1connect.NewRegionServiceClient(http.DefaultClient, a.url)
	for i := range 25 {
		_, err := c.CreateRegion(context.Background(), ask(a, resource.Admin, &v1.CreateRegionRequest{Region: &v1.Region{Name: fmt.Sprintf("r-%02d", i)}}))
		must(t, err)
	}
	var names []string
	request, pages := &v1.ListRequest{PageSize: 10}, 0
	for {
		page, err := c.ListRegions(context.Background(), ask(a, resource.Reader, request))
		must(t, err)
		pages++
		if page.Msg.GetTotal() != 25 {
			t.Errorf("the total is %d", page.Msg.GetTotal())
		}
		for _, r := range page.Msg.GetRegions() {
			names = append(names, r.GetName())
		}
		if request.PageToken = page.Msg.GetNextPageToken(); request.PageToken == "" {
			break
		}
	}
	if pages != 3 || len(names) != 25 || names[0] != "r-00" || names[24] != "r-24" {
		t.Errorf("%d pages: %v", pages, names)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestARefusalNamesTheFieldAndWhatToDo(t *testing.T) {
	a := start(t)
	c := causewayv1connect.NewListenerServiceClient(http.DefaultClient, a.url)
	_, err := c.CreateListener(context.Background(), ask(a, resource.Operator, &v1.CreateListenerRequest{Listener: &v1.Listener{Name: "vpn", Accelerator: "office", Protocol: "tcp", Ports: []*v1.PortRange{{From: 250}}}}))
	var e *resource.Error
	if !errors.As(apiform.DecodeError(err), &e) || connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Fatalf("got %v", err)
	}
	if e.Field != "protocol" || e.Found != "tcp" || e.Allowed != "udp" || !strings.Contains(e.Fix, "not there yet") || len(e.More) != 1 || e.More[0].Field != "ports[0]" {
		t.Errorf("got %+v", e)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestARepeatedRequestIsDoneOnceAndAnotherOneWithItsIDIsRefused(t *testing.T) {
	a := start(t)
	c := causewayv1connect.NewRegionServiceClient(http.DefaultClient, a.url)
	create := func(name string) (*v1.Region, error) {
		answer, err := c.CreateRegion(context.Background(), ask(a, resource.Admin, &v1.CreateRegionRequest{Region: &v1.Region{Name: name}, RequestId: "once"}))
		if err != nil {
			return nil, apiform.DecodeError(err)
		}
		return answer.Msg, nil
	}
	first, err := create("kr-seoul")
	must(t, err)
	again, err := create("kr-seoul")
	if err != nil || !proto.Equal(first, again) {
		t.Errorf("the repeated request gives %v, %v; want %v", again, err, first)
	}
	if _, err := create("cn-shanghai"); resource.CodeOf(err) != resource.CodeTokenReused {
		t.Errorf("another request with the same ID gives %v", err)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestAnEditOfSomethingThatMovedOnIsRefused(t *testing.T) {
	a := start(t)
	c := causewayv1connect.NewRegionServiceClient(http.DefaultClient, a.url)
	made, err := c.CreateRegion(context.Background(), ask(a, resource.Admin, &v1.CreateRegionRequest{Region: &v1.Region{Name: "kr-seoul"}}))
	must(t, err)
	edit := func(revision int64, title string, dryRun bool) error {
		_, err := c.UpdateRegion(context.Background(), ask(a, resource.Admin, &v1.UpdateRegionRequest{Region: &v1.Region{Name: "kr-seoul", Title: title}, ExpectedRevision: revision, DryRun: dryRun}))
		return apiform.DecodeError(err)
	}
	must(t, edit(made.Msg.GetRevision(), "dry", true))
	must(t, edit(made.Msg.GetRevision(), "first", false))
	if err := edit(made.Msg.GetRevision(), "second", false); resource.CodeOf(err) != resource.CodeRevisionMoved {
		t.Errorf("got %v", err)
	}
	now, err := c.GetRegion(context.Background(), ask(a, resource.Reader, &v1.GetRequest{Name: made.Msg.GetId()}))
	must(t, err)
	if now.Msg.GetTitle() != "first" {
		t.Errorf("the title is %q", now.Msg.GetTitle())
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestAWatchThatIsResumedMissesNothing(t *testing.T) {
	a := start(t)
	regions := causewayv1connect.NewRegionServiceClient(http.DefaultClient, a.url)
	control := causewayv1connect.NewControlServiceClient(http.DefaultClient, a.url)
	create := func(name string) {
		t.Helper()
		_, err := regions.CreateRegion(context.Background(), ask(a, resource.Admin, &v1.CreateRegionRequest{Region: &v1.Region{Name: name}}))
		must(t, err)
	}
	// watch returns the changes after a revision, until one is about last.
	watch := func(after int64, last string) (seen []string, revision int64) {
		t.Helper()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		stream, err := control.Watch(ctx, ask(a, resource.Reader, &v1.WatchRequest{Kinds: []string{"region"}, AfterRevision: after}))
		must(t, err)
		defer stream.Close()
		for stream.Receive() {
			m := stream.Msg()
			seen, revision = append(seen, m.GetChange()+" "+m.GetRef().GetName()), m.GetRevision()
			if m.GetRef().GetName() == last {
				return seen, revision
			}
		}
		t.Fatal(stream.Err())
		return nil, 0
	}
	create("a")
	create("b")
	seen, revision := watch(0, "b")
	if fmt.Sprint(seen) != "[put a put b]" {
		t.Errorf("at first: %v", seen)
	}
	create("c")
	_, err := regions.DeleteRegion(context.Background(), ask(a, resource.Admin, &v1.DeleteRequest{Name: "a"}))
	must(t, err)
	create("d")
	if seen, _ = watch(revision, "d"); fmt.Sprint(seen) != "[put c delete a put d]" {
		t.Errorf("resumed: %v", seen)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestASecretIsShownOnceOnly(t *testing.T) {
	a := start(t)
	c := causewayv1connect.NewAccessKeyServiceClient(http.DefaultClient, a.url)
	made, err := c.CreateAccessKey(context.Background(), ask(a, resource.Admin, &v1.CreateAccessKeyRequest{AccessKey: &v1.AccessKey{Name: "ci"}}))
	must(t, err)
	if len(made.Msg.GetSecret()) < 20 {
		t.Fatalf("the secret is %q", made.Msg.GetSecret())
	}
	list, err := c.ListAccessKeys(context.Background(), ask(a, resource.Admin, &v1.ListRequest{}))
	must(t, err)
	if strings.Contains(list.Msg.String(), made.Msg.GetSecret()) {
		t.Error("the list shows the secret")
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestCurlIsAClient(t *testing.T) {
	a := start(t)
	r, _ := http.NewRequest(http.MethodPost, a.url+"/causeway.v1.RegionService/CreateRegion", strings.NewReader(`{"region":{"name":"kr-seoul"},"requestId":"by-hand"}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+a.keys[resource.Admin])
	answer, err := http.DefaultClient.Do(r)
	must(t, err)
	defer answer.Body.Close()
	text := make([]byte, 4096)
	n, _ := answer.Body.Read(text)
	if answer.StatusCode != http.StatusOK || !strings.Contains(string(text[:n]), `"area":"intl"`) {
		t.Errorf("%s: %s", answer.Status, text[:n])
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestTheAuditLogSaysFromWhere(t *testing.T) {
	a := start(t)
	regions, audit := causewayv1connect.NewRegionServiceClient(http.DefaultClient, a.url), causewayv1connect.NewAuditServiceClient(http.DefaultClient, a.url)
	r := ask(a, resource.Admin, &v1.CreateRegionRequest{Region: &v1.Region{Name: "kr-seoul"}})
	r.Header().Set("X-Forwarded-For", "203.0.113.9") // anybody can say so
	_, err := regions.CreateRegion(context.Background(), r)
	must(t, err)
	page, err := audit.ListAudit(context.Background(), ask(a, resource.Reader, &v1.ListAuditRequest{Name: "kr-seoul"}))
	must(t, err)
	if e := page.Msg.GetEntries(); len(e) != 1 || e[0].GetFrom() != "127.0.0.1" {
		t.Errorf("the log has %v", e)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestWhoAsksTooOftenIsToldWhenToComeAgain(t *testing.T) {
	at := time.Unix(1_000_000, 0)
	a := startWith(t, throttle.New(throttle.Limits{Rate: 1, Burst: 2}, func() time.Time { return at }))
	c := causewayv1connect.NewRegionServiceClient(http.DefaultClient, a.url)
	grpc := causewayv1connect.NewRegionServiceClient(&http.Client{Transport: plainHTTP2()}, a.url, connect.WithGRPC())
	list := func(c causewayv1connect.RegionServiceClient, role resource.Role) error {
		_, err := c.ListRegions(context.Background(), ask(a, role, &v1.ListRequest{}))
		return err
	}
	must(t, list(c, resource.Reader))
	must(t, list(c, resource.Reader))
	for name, c := range map[string]causewayv1connect.RegionServiceClient{"Connect": c, "gRPC": grpc} {
		err := list(c, resource.Reader)
		var told *connect.Error
		if !errors.As(err, &told) || told.Code() != connect.CodeResourceExhausted || told.Meta().Get("Retry-After") != "1" || resource.CodeOf(apiform.DecodeError(err)) != resource.CodeThrottled {
			t.Errorf("%s: the third request ends with %v (%v)", name, err, told.Meta())
		}
	}
	must(t, list(c, resource.Operator)) // another key
	at = at.Add(time.Second)
	must(t, list(c, resource.Reader))
	http.DefaultClient.CloseIdleConnections()
}

func TestWrongKeysAreHeldOffAndRightOnesThatWereThereAreNot(t *testing.T) {
	at := time.Unix(1_000_000, 0)
	a := startWith(t, throttle.New(throttle.Limits{}, func() time.Time { return at }))
	c := causewayv1connect.NewRegionServiceClient(http.DefaultClient, a.url)
	list := func(key string) resource.Code {
		r := connect.NewRequest(&v1.ListRequest{})
		r.Header().Set("Authorization", "Bearer "+key)
		_, err := c.ListRegions(context.Background(), r)
		if err == nil {
			return ""
		}
		return resource.CodeOf(apiform.DecodeError(err))
	}
	if code := list(a.keys[resource.Reader]); code != "" {
		t.Fatalf("the right key ends with %q", code)
	}
	for range throttle.FailedBurst {
		if code := list("x.y"); code != resource.CodeUnauthenticated {
			t.Fatalf("a wrong key ends with %q", code)
		}
	}
	if code := list("x.y"); code != resource.CodeThrottled {
		t.Errorf("one wrong key too many ends with %q", code)
	}
	if code := list(a.keys[resource.Reader]); code != "" {
		t.Errorf("the right key that was there before ends with %q", code)
	}
	if code := list(a.keys[resource.Admin]); code != resource.CodeThrottled {
		t.Errorf("a key that was not there before ends with %q", code)
	}
	at = at.Add(throttle.FailedEvery)
	if code := list(a.keys[resource.Admin]); code != "" {
		t.Errorf("after the wait, the right key ends with %q", code)
	}
	http.DefaultClient.CloseIdleConnections()
}

func plainHTTP2() *http.Transport {
	tr := &http.Transport{Protocols: new(http.Protocols), DisableKeepAlives: true}
	tr.Protocols.SetUnencryptedHTTP2(true)
	return tr
}
