package aliyunapi

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"causeway/internal/control/auth"
	"causeway/internal/control/service"
	"causeway/internal/control/store"
	"causeway/internal/control/store/memstore"
	"causeway/internal/resource"
)

var background = context.Background()

// bench is the API over a service of its own, with PoPs that run what they are
// told when the test says so.
type bench struct {
	t       testing.TB
	api     *API
	service *service.Service
	store   *memstore.Store
	now     time.Time
	log     bytes.Buffer
	keys    map[resource.Role][2]string // ID and secret
	nonce   int
	domains map[string][]netip.Addr
	reports map[string]string // what PoPs reported last, JSON
}

type resolver func(string) ([]netip.Addr, time.Duration, error)

func (f resolver) Resolve(_ context.Context, domain string) ([]netip.Addr, time.Duration, error) {
	return f(domain)
}

func newBench(t testing.TB) *bench {
	t.Helper()
	sealer, err := auth.NewSealer(make([]byte, auth.SealKeySize))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, store: memstore.New(), now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), keys: map[resource.Role][2]string{},
		domains: map[string][]netip.Addr{"vpn.example.com": {netip.MustParseAddr("192.0.2.9")}}, reports: map[string]string{}}
	t.Cleanup(func() { b.store.Close() })
	log := slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b.service = service.New(b.store, sealer, service.Options{Now: b.clock, Log: log, Resolver: resolver(func(domain string) ([]netip.Addr, time.Duration, error) {
		if a, ok := b.domains[domain]; ok {
			return a, time.Minute, nil
		}
		return nil, 0, errors.New("no such host")
	})})
	b.api = New(Options{Service: b.service, Now: b.clock, Log: log, LastReport: func(pop string) ([]byte, bool) {
		text, ok := b.reports[pop]
		return []byte(text), ok
	}})
	for _, role := range []resource.Role{resource.Reader, resource.Operator, resource.Admin} {
		made, err := b.service.CreateAccessKey(background, local, resource.AccessKey{AccessKeySpec: resource.AccessKeySpec{Role: role}})
		if err != nil {
			t.Fatal(err)
		}
		b.keys[role] = [2]string{made.Resource.ID, made.Secret}
	}
	return b
}

func (b *bench) clock() time.Time { return b.now }

var local = service.Call{Caller: auth.Local}

// world makes a region in China and one in Korea with a PoP each, that run what
// they are told.
func (b *bench) world() *bench {
	b.t.Helper()
	for i, r := range []struct{ region, title, tag, pop, net string }{{"cn-shanghai", "Shanghai", "", "sha", "203.0.113"}, {"kr-seoul", "Seoul", "ap-northeast-2", "sel", "198.51.100"}} {
		region := resource.Region{Meta: resource.Meta{Name: r.region, Title: r.title}}
		if r.tag != "" {
			region.Tags = map[string]string{regionTag: r.tag}
		}
		if _, err := b.service.CreateRegion(background, local, region); err != nil {
			b.t.Fatal(err)
		}
		key := make([]byte, 32)
		key[0] = byte(i + 1)
		p := resource.PoP{Meta: resource.Meta{Name: r.pop}, PoPSpec: resource.PoPSpec{Region: r.region, PublicKey: base64.StdEncoding.EncodeToString(key),
			Overlay: []resource.OverlayAddress{{Name: "isp", Bind: netip.MustParseAddrPort(r.net + ".1:4600")}}}}
		for n := 10; n < 14; n++ {
			p.Addresses = append(p.Addresses, resource.PoolAddress{Bind: netip.MustParseAddr(fmt.Sprintf("%s.%d", r.net, n))})
		}
		if _, err := b.service.CreatePoP(background, local, p); err != nil {
			b.t.Fatal(err)
		}
	}
	b.settle()
	return b
}

// settle has every PoP run what it is told.
func (b *bench) settle() { b.report(true, "sha", "sel") }

// report has PoPs say that they run their newest snapshot.
func (b *bench) report(connected bool, pops ...string) {
	b.t.Helper()
	compiled, err := b.service.Compiled(background)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, pop := range pops {
		r := service.PoPReport{Connected: connected, Since: b.now, Version: compiled.Plan.Snapshots[pop].Version, Digest: compiled.Plan.Digests[pop]}
		if err := b.service.ReportPoP(background, service.Call{Caller: auth.ForAgent(pop)}, r); err != nil {
			b.t.Fatal(err)
		}
	}
}

// away has a PoP lose its controller: it runs on with what it had.
func (b *bench) away(pop string) {
	b.t.Helper()
	p, err := b.service.GetPoP(background, local, pop)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.service.ReportPoP(background, service.Call{Caller: auth.ForAgent(pop)}, service.PoPReport{Connected: false, Since: b.now, Version: p.Status.Applied, Digest: "old"}); err != nil {
		b.t.Fatal(err)
	}
}

// pairs are parameters, name after value after name.
func pairs(list ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(list); i += 2 {
		v.Add(list[i], list[i+1])
	}
	return v
}

// The test signs by itself, after the vendor's description, so that it does not
// agree with the code by being the code.

// escaped encodes byte by byte: RFC 3986's unreserved characters stay.
func escaped(s string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"
	var out strings.Builder
	for _, c := range []byte(s) {
		if strings.IndexByte(plain, c) >= 0 {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return out.String()
}

func joined(v url.Values) string {
	var list []string
	for name, all := range v {
		for _, value := range all {
			list = append(list, escaped(name)+"="+escaped(value))
		}
	}
	sort.Strings(list)
	return strings.Join(list, "&")
}

// rpc signs parameters with the first signature.
func (b *bench) rpc(role resource.Role, action string, business url.Values, tweak ...func(url.Values)) url.Values {
	version := versionGa
	if index[[2]string{productGa, action}] == nil {
		version = versionVpc
	}
	b.nonce++
	v := pairs("Action", action, "Version", version, "Format", "JSON", "Timestamp", b.now.Format(timeLayout), "SignatureMethod", "HMAC-SHA1", "SignatureVersion", "1.0",
		"SignatureType", "", "SignatureNonce", fmt.Sprintf("nonce-%d", b.nonce), "AccessKeyId", b.keys[role][0], "RegionId", "cn-hangzhou")
	for name, values := range business {
		v[name] = values
	}
	for _, change := range tweak {
		change(v)
	}
	return v
}

func rpcSign(method, secret string, v url.Values) {
	digest := sha1.New
	if v.Get("SignatureMethod") == "HMAC-SHA256" {
		digest = sha256.New
	}
	v.Set("Signature", signed(digest, secret+"&", method+"&%2F&"+escaped(joined(v))))
}

func signed(digest func() hash.Hash, key, text string) string {
	mac := hmac.New(digest, []byte(key))
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// acs3 is a request with the third signature.
func (b *bench) acs3(role resource.Role, action string, query url.Values, body string) *http.Request {
	r := httptest.NewRequest("POST", "http://ga.example.com/?"+query.Encode(), strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:1"
	b.nonce++
	h := r.Header
	h.Set("x-acs-action", action)
	h.Set("x-acs-version", versionGa)
	h.Set("x-acs-date", b.now.Format(timeLayout))
	h.Set("x-acs-signature-nonce", fmt.Sprintf("nonce-%d", b.nonce))
	sum := sha256.Sum256([]byte(body))
	h.Set("x-acs-content-sha256", hex.EncodeToString(sum[:]))
	if body != "" {
		h.Set("content-type", "application/x-www-form-urlencoded")
	}
	acs3Sign(r, b.keys[role], query, "ACS3-HMAC-SHA256")
	return r
}

func acs3Sign(r *http.Request, key [2]string, query url.Values, algorithm string) {
	names := []string{"host"}
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-acs-") || lower == "content-type" {
			names = append(names, lower)
		}
	}
	slices.Sort(names)
	acs3SignNames(r, key, query, algorithm, names)
}

func acs3SignNames(r *http.Request, key [2]string, query url.Values, algorithm string, names []string) {
	headers := ""
	for _, name := range names {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		headers += name + ":" + value + "\n"
	}
	text := strings.Join([]string{r.Method, "/", joined(query), headers, strings.Join(names, ";"), r.Header.Get("x-acs-content-sha256")}, "\n")
	sum := sha256.Sum256([]byte(text))
	mac := hmac.New(sha256.New, []byte(key[1]))
	mac.Write([]byte("ACS3-HMAC-SHA256\n" + hex.EncodeToString(sum[:])))
	r.Header.Set("Authorization", algorithm+" Credential="+key[0]+",SignedHeaders="+strings.Join(names, ";")+",Signature="+hex.EncodeToString(mac.Sum(nil)))
}

// send carries a request out and returns the status and the answer's fields.
func (b *bench) send(r *http.Request) (int, map[string]any) {
	b.t.Helper()
	w := httptest.NewRecorder()
	b.api.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		b.t.Fatal(err)
	}
	answer := map[string]any{}
	if err := json.Unmarshal(body, &answer); err != nil {
		b.t.Fatalf("the answer is no JSON object: %v\n%s", err, body)
	}
	return w.Code, answer
}

func post(query, body url.Values) *http.Request {
	r := httptest.NewRequest("POST", "http://ga.example.com/?"+query.Encode(), strings.NewReader(body.Encode()))
	r.RemoteAddr = "127.0.0.1:1"
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

// as sends a signed request in a role.
func (b *bench) as(role resource.Role, action string, list ...string) (int, map[string]any) {
	b.t.Helper()
	b.now = b.now.Add(time.Second)
	v := b.rpc(role, action, pairs(list...))
	rpcSign("POST", b.keys[role][1], v)
	return b.send(post(v, nil))
}

// ok sends a request that must be carried out.
func (b *bench) ok(action string, list ...string) map[string]any {
	b.t.Helper()
	status, answer := b.as(resource.Operator, action, list...)
	if status != 200 {
		b.t.Fatalf("%s %q: %d %v", action, list, status, answer)
	}
	return answer
}

// do is ok, and then every PoP runs what it is told.
func (b *bench) do(action string, list ...string) map[string]any {
	b.t.Helper()
	answer := b.ok(action, list...)
	b.settle()
	return answer
}

// refused sends a request that must be refused with a code.
func (b *bench) refused(code, action string, list ...string) map[string]any {
	b.t.Helper()
	status, answer := b.as(resource.Operator, action, list...)
	if answer["Code"] != code || status != statusOf(code) || status < 400 {
		b.t.Fatalf("%s %q: want %s with status %d, have %d %v", action, list, code, statusOf(code), status, answer)
	}
	return answer
}

func text(answer map[string]any, name string) string { s, _ := answer[name].(string); return s }

// stack is an accelerator with all that the tutorial hangs on it.
type stack struct{ accelerator, basic, cross, ipSet, listener, group string }

// tutorial makes one through the API.
func (b *bench) tutorial() (s stack) {
	b.t.Helper()
	s.accelerator = text(b.do("CreateAccelerator", "Spec", "1", "Name", "office"), "AcceleratorId")
	s.basic = text(b.do("CreateBandwidthPackage", "Type", "Basic", "BandwidthType", "Enhanced", "Bandwidth", "20"), "BandwidthPackageId")
	s.cross = text(b.do("CreateBandwidthPackage", "Type", "CrossDomain", "Bandwidth", "10"), "BandwidthPackageId")
	b.do("BandwidthPackageAddAccelerator", "BandwidthPackageId", s.basic, "AcceleratorId", s.accelerator)
	b.do("BandwidthPackageAddAccelerator", "BandwidthPackageId", s.cross, "AcceleratorId", s.accelerator)
	made := b.do("CreateIpSets", "AcceleratorId", s.accelerator, "AccelerateRegion.1.AccelerateRegionId", "cn-shanghai", "AccelerateRegion.1.Bandwidth", "20")
	s.ipSet = made["IpSets"].([]any)[0].(map[string]any)["IpSetId"].(string)
	s.listener = text(b.do("CreateListener", "AcceleratorId", s.accelerator, "Protocol", "udp", "Name", "ipsec",
		"PortRanges.1.FromPort", "500", "PortRanges.1.ToPort", "500", "PortRanges.2.FromPort", "4500", "PortRanges.2.ToPort", "4500"), "ListenerId")
	s.group = text(b.do("CreateEndpointGroup", "AcceleratorId", s.accelerator, "ListenerId", s.listener, "EndpointGroupRegion", "kr-seoul",
		"EndpointConfigurations.1.Type", "PublicIp", "EndpointConfigurations.1.Endpoint", "192.0.2.7", "EndpointConfigurations.1.Weight", "100"), "EndpointGroupId")
	return s
}

// teardown deletes a stack in the order in which clients do.
func (b *bench) teardown(s stack) {
	b.t.Helper()
	b.do("DeleteEndpointGroup", "AcceleratorId", s.accelerator, "EndpointGroupId", s.group)
	b.do("DeleteListener", "AcceleratorId", s.accelerator, "ListenerId", s.listener)
	b.do("DeleteIpSet", "AcceleratorId", s.accelerator, "IpSetId", s.ipSet)
	b.do("BandwidthPackageRemoveAccelerator", "BandwidthPackageId", s.cross, "AcceleratorId", s.accelerator)
	b.do("BandwidthPackageRemoveAccelerator", "BandwidthPackageId", s.basic, "AcceleratorId", s.accelerator)
	b.do("DeleteBandwidthPackage", "BandwidthPackageId", s.cross)
	b.do("DeleteBandwidthPackage", "BandwidthPackageId", s.basic)
	b.do("DeleteAccelerator", "AcceleratorId", s.accelerator)
}

// stored is everything in the store but what every change touches, what PoPs
// report, and the record of who changed what, which is meant to stay.
func (b *bench) stored() map[string]string {
	b.t.Helper()
	items, _, err := b.store.List(background, store.Range{}, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	all := map[string]string{}
	for _, item := range items {
		if item.Key != "serial" && !strings.HasPrefix(item.Key, "pop/") && !strings.HasPrefix(item.Key, "audit/") {
			all[item.Key] = string(item.Value)
		}
	}
	return all
}

type (
	ctxT    = context.Context
	callerT = auth.Caller
)
