// Package apiclient calls a controller's native API for the commands: resources
// of any kind go in and out as package resource has them, and refusals come back
// as *resource.Error. It knows the controller by its authority's fingerprint.
package apiclient

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/apiform"
	"causeway/internal/pki"
	"causeway/internal/resource"
)

// Profile is whom to call, and as whom.
type Profile struct {
	Controller  string `yaml:"controller"`  // https://host:port
	Fingerprint string `yaml:"fingerprint"` // of the controller's authority
	AccessKey   string `yaml:"access_key"`  // ID.SECRET
}

// Client calls one controller. It is safe for concurrent use.
type Client struct {
	// Waiting, which may be nil, is told of every wait that a controller asks for
	// because there were too many requests. It is set before the first call.
	Waiting func(time.Duration)

	profile Profile
	http    *http.Client
}

// New returns a client. Nothing is connected until something is called.
func New(p Profile) *Client {
	p.Controller = strings.TrimSuffix(p.Controller, "/")
	return &Client{profile: p, http: &http.Client{Transport: &http.Transport{
		TLSClientConfig: pki.ClientConfig(p.Fingerprint, nil), ForceAttemptHTTP2: true, TLSHandshakeTimeout: time.Minute,
		HTTP2: &http.HTTP2Config{SendPingTimeout: 20 * time.Second, PingTimeout: 30 * time.Second},
	}}}
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// NewRequestID returns an idempotency token.
func NewRequestID() string { return "cli-" + rand.Text() }

// Options are how a mutation is asked for.
type Options struct {
	RequestID string // default: a new one
	Expect    int64  // revision; 0: any
	DryRun    bool
}

// Made is a new resource, and its secret if it has one.
type Made struct {
	resource.Object
	Secret string
}

// Create makes a resource.
func (c *Client) Create(ctx context.Context, o resource.Object, opt Options) (Made, error) {
	answer, err := c.mutate(ctx, o.Kind(), "Create", o, opt)
	if err != nil {
		return Made{}, err
	}
	made := Made{Object: apiform.New(o.Kind())}
	inner := answer
	if holder, ok := answer.(interface{ GetSecret() string }); ok {
		made.Secret = holder.GetSecret()
		inner = field(answer, o.Kind())
	}
	return made, apiform.Decode(inner, made.Object)
}

// Update makes a resource what o says, whole.
func (c *Client) Update(ctx context.Context, o resource.Object, opt Options) (resource.Object, error) {
	answer, err := c.mutate(ctx, o.Kind(), "Update", o, opt)
	if err != nil {
		return nil, err
	}
	changed := apiform.New(o.Kind())
	return changed, apiform.Decode(answer, changed)
}

// Get returns one resource by its name or ID.
func (c *Client) Get(ctx context.Context, kind resource.Kind, name string) (resource.Object, error) {
	o := apiform.New(kind)
	answer, err := c.Call(ctx, typeOf(kind)+"Service", "Get"+typeOf(kind), &v1.GetRequest{Name: name})
	if err != nil {
		return nil, err
	}
	return o, apiform.Decode(answer, o)
}

// List returns all resources of a kind that r picks, page by page, and the
// revision after which a watch misses nothing.
func (c *Client) List(ctx context.Context, kind resource.Kind, r *v1.ListRequest) (all []resource.Object, revision int64, err error) {
	r = proto.CloneOf(r)
	for {
		answer, err := c.Call(ctx, typeOf(kind)+"Service", "List"+typeOf(kind)+"s", r)
		if err != nil {
			return nil, 0, err
		}
		m := answer.ProtoReflect()
		items := m.Get(m.Descriptor().Fields().ByNumber(1)).List()
		for i := range items.Len() {
			o := apiform.New(kind)
			if err := apiform.Decode(items.Get(i).Message().Interface(), o); err != nil {
				return nil, 0, err
			}
			all = append(all, o)
		}
		page := answer.(interface {
			GetNextPageToken() string
			GetRevision() int64
		})
		if revision == 0 {
			revision = page.GetRevision() // of the first page: later changes are told by the watch
		}
		if page.GetNextPageToken() == "" {
			return all, revision, nil
		}
		r.PageToken = page.GetNextPageToken()
	}
}

// Delete deletes a resource by its name or ID.
func (c *Client) Delete(ctx context.Context, kind resource.Kind, name string, opt Options) error {
	_, err := c.Call(ctx, typeOf(kind)+"Service", "Delete"+typeOf(kind),
		&v1.DeleteRequest{Name: name, RequestId: opt.id(), ExpectedRevision: opt.Expect, DryRun: opt.DryRun})
	return err
}

// Act calls a further method of a kind's service that answers with the resource:
// RevokePoP, BindBandwidthPackage.
func (c *Client) Act(ctx context.Context, kind resource.Kind, method string, r proto.Message) (resource.Object, error) {
	answer, err := c.Call(ctx, typeOf(kind)+"Service", method, r)
	if err != nil {
		return nil, err
	}
	o := apiform.New(kind)
	return o, apiform.Decode(answer, o)
}

func (o Options) id() string {
	if o.RequestID == "" {
		return NewRequestID()
	}
	return o.RequestID
}

// mutate sends a Create or Update request with a resource in it.
func (c *Client) mutate(ctx context.Context, kind resource.Kind, verb string, o resource.Object, opt Options) (proto.Message, error) {
	name := verb + typeOf(kind)
	found, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName("causeway.v1." + name + "Request"))
	if err != nil {
		return nil, fmt.Errorf("%s cannot be asked for: %w", name, err)
	}
	m := found.New()
	fields := m.Descriptor().Fields()
	m.Set(fields.ByNumber(1), protoreflect.ValueOfMessage(apiform.Encode(o).ProtoReflect()))
	m.Set(fields.ByName("request_id"), protoreflect.ValueOfString(opt.id()))
	m.Set(fields.ByName("dry_run"), protoreflect.ValueOfBool(opt.DryRun))
	if expected := fields.ByName("expected_revision"); expected != nil {
		m.Set(expected, protoreflect.ValueOfInt64(opt.Expect))
	}
	return c.Call(ctx, typeOf(kind)+"Service", name, m.Interface())
}

// field is the message of a kind within an answer.
func field(answer proto.Message, kind resource.Kind) proto.Message {
	m := answer.ProtoReflect()
	want := apiform.Encode(apiform.New(kind)).ProtoReflect().Descriptor()
	for i := range m.Descriptor().Fields().Len() {
		if fd := m.Descriptor().Fields().Get(i); fd.Message() == want {
			return m.Get(fd).Message().Interface()
		}
	}
	return nil
}

// typeOf is a kind as the API's methods spell it.
func typeOf(kind resource.Kind) string {
	return string(apiform.Encode(apiform.New(kind)).ProtoReflect().Descriptor().Name())
}

// Call calls a method of the API by name.
func (c *Client) Call(ctx context.Context, service, method string, request proto.Message) (proto.Message, error) {
	rpc, output, err := c.method(service, method)
	if err != nil {
		return nil, err
	}
	r := connect.NewRequest(&envelope{request})
	r.Header().Set("Authorization", "Bearer "+c.profile.AccessKey)
	client := connect.NewClient[envelope, envelope](c.http, c.profile.Controller+rpc, connect.WithCodec(codec{}), receives(output))
	for {
		answer, err := client.CallUnary(ctx, r)
		if err == nil {
			return answer.Msg.Message, nil
		}
		if !c.again(ctx, err) {
			return nil, c.failed(err)
		}
	}
}

// Backup writes a backup of the controller's store.
func (c *Client) Backup(ctx context.Context, to io.Writer) error {
	return c.stream(ctx, "Backup", &v1.BackupRequest{}, func(m proto.Message) error {
		_, err := to.Write(m.(*v1.BackupResponse).GetData())
		return err
	})
}

// Watch calls each with every change that r asks for, until ctx ends, the stream
// breaks or each fails.
func (c *Client) Watch(ctx context.Context, r *v1.WatchRequest, each func(*v1.WatchResponse) error) error {
	err := c.stream(ctx, "Watch", r, func(m proto.Message) error { return each(m.(*v1.WatchResponse)) })
	if err == nil {
		return ErrEnded
	}
	return err
}

// stream calls a method that answers with a stream, until the stream ends.
func (c *Client) stream(ctx context.Context, method string, m proto.Message, each func(proto.Message) error) error {
	rpc, output, err := c.method("ControlService", method)
	if err != nil {
		return err
	}
	request := connect.NewRequest(&envelope{m})
	request.Header().Set("Authorization", "Bearer "+c.profile.AccessKey)
	client := connect.NewClient[envelope, envelope](c.http, c.profile.Controller+rpc, connect.WithCodec(codec{}), receives(output))
	for {
		refused, err := c.receive(ctx, client, request, each)
		if refused == nil {
			return err
		}
		if !c.again(ctx, refused) {
			return c.failed(refused)
		}
	}
}

// receive calls each for every message of one stream. Refused is why the stream
// itself ended, nil when it was at its end or each failed.
func (c *Client) receive(ctx context.Context, client *connect.Client[envelope, envelope], request *connect.Request[envelope], each func(proto.Message) error) (refused, err error) {
	stream, refused := client.CallServerStream(ctx, request)
	if refused != nil {
		return refused, nil
	}
	defer stream.Close()
	for stream.Receive() {
		if err := each(stream.Msg().Message); err != nil {
			return nil, err
		}
	}
	return stream.Err(), nil
}

// method finds the path of a method, and what it answers with.
func (c *Client) method(service, method string) (path string, output protoreflect.MessageType, err error) {
	name := protoreflect.FullName("causeway.v1." + service)
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return "", nil, fmt.Errorf("the API has no %s: %w", service, err)
	}
	m := found.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(method))
	if m == nil {
		return "", nil, fmt.Errorf("the API has no %s.%s", service, method)
	}
	output, err = protoregistry.GlobalTypes.FindMessageByName(m.Output().FullName())
	return fmt.Sprintf("/%s/%s", name, method), output, err
}

// envelope lets one generic client carry messages of every type.
type envelope struct{ proto.Message }

// receives makes the answer's envelope hold a message of a type.
func receives(t protoreflect.MessageType) connect.ClientOption {
	return connect.WithResponseInitializer(func(_ connect.Spec, m any) error {
		m.(*envelope).Message = t.New().Interface()
		return nil
	})
}

// codec is protobuf's, for envelopes.
type codec struct{}

func (codec) Name() string                       { return "proto" }
func (codec) Marshal(m any) ([]byte, error)      { return proto.Marshal(m.(*envelope).Message) }
func (codec) Unmarshal(data []byte, m any) error { return proto.Unmarshal(data, m.(*envelope).Message) }
