package aliyunapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"causeway/internal/control/auth"
	"causeway/internal/control/service"
	"causeway/internal/resource"
)

// The two products and the version of each.
const (
	productGa, versionGa   = "Ga", "2019-11-20"
	productVpc, versionVpc = "Vpc", "2016-04-28"
)

// verdict says how an action fares beside the vendor's.
type verdict string

const (
	supported verdict = "supported"
	differs   verdict = "differs"
	refused   verdict = "refused"
)

// action is one thing that clients can ask for.
type action struct {
	name    string
	kind    resource.Kind // what it is about; refusals are put into words by it
	verdict verdict
	note    string // of what differs, or why it is refused
	origin  origin
	writes  bool // takes ClientToken and DryRun
	do      func(*call) (reply, error)
}

// origin says where an action comes from.
type origin string

const (
	fromSDK origin = ""      // the vendor's SDK v1.63.107 has it
	later   origin = "later" // the vendor has it, that SDK has not
	ours    origin = "ours"  // what tickets are written for elsewhere
)

func (a *action) label() string {
	if a == nil {
		return "unknown"
	}
	return a.name
}

// table is every action of both products.
var table = map[string][]action{
	productGa: slices.Concat(regionActions, acceleratorActions, bandwidthPackageActions, ipSetActions, listenerActions, endpointGroupActions,
		egressIPActions, aclActions, forwardingRuleActions, logActions, tagActions),
	productVpc: slices.Concat(vpnGatewayActions, customerGatewayActions, vpnConnectionActions, vpnRouteActions, diagnosisActions),
}

var versions = map[string]string{versionGa: productGa, versionVpc: productVpc}

// index is the table by product and name.
var index = func() map[[2]string]*action {
	all := map[[2]string]*action{}
	for product, list := range table {
		for i := range list {
			all[[2]string{product, list[i].name}] = &list[i]
		}
	}
	return all
}()

// lookup finds an action.
func lookup(name, version string) (*action, error) {
	product, known := versions[version]
	switch {
	case name == "":
		return nil, refuse("MissingParameter", "the request does not say what to do: Action is missing")
	case !known:
		return nil, refuse("InvalidVersion", "the version is %q; allowed: %s (Ga), %s (Vpc)", clip(version), versionGa, versionVpc)
	}
	if a := index[[2]string{product, name}]; a != nil {
		return a, nil
	}
	return nil, refuse("InvalidAction.NotFound", "%s has no action %q here; docs/reference/aliyun.md lists those that there are", product, clip(name))
}

// refusing is an action that answers nothing but a refusal.
func refusing(code, why string) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		if c.caller.Role == "" {
			return nil, refuse("Forbidden.RAM", "the caller has no role")
		}
		return nil, refuse(code, "%s", why)
	}
}

// call is one request being carried out.
type call struct {
	*API
	ctx    context.Context
	params *params
	values values
	caller auth.Caller
	action *action
	dry    bool
}

// read is a Call that changes nothing.
func (c *call) read() service.Call { return service.Call{Caller: c.caller} }

// common are parameters that say how a request is sent, not what it asks for.
var common = []string{"Action", "Version", "Format", "Timestamp", "SignatureMethod", "SignatureVersion", "SignatureType", "SignatureNonce", "AccessKeyId",
	"Signature", "ClientToken", "RegionId", "SourceIp", "SecureTransport", "AcceptLanguage", "OwnerId", "ResourceOwnerId"}

// write is a Call that changes something; the request's ClientToken is its
// idempotency token. Guard may be nil.
func (c *call) write(guard func(context.Context) error) service.Call {
	sc := service.Call{Caller: c.caller, DryRun: c.dry, Guard: guard}
	if token := c.params.text("ClientToken"); token != "" {
		business := maps.Clone(c.values)
		for _, name := range common {
			delete(business, name)
		}
		sum := sha256.Sum256([]byte(token))
		sc.Token = "acs." + hex.EncodeToString(sum[:20])
		sc.Fingerprint = service.FingerprintOf([]byte(c.action.name + "?" + canonicalQuery(business)))
	}
	return sc
}

// everything reads all pages of a list, and puts them into the order in which
// things were made: the order of names says nothing to clients that know IDs.
func everything[T any](c *call, list func(context.Context, service.Call, service.Query) (service.Page[T], error), q service.Query) ([]T, error) {
	var all []T
	q.Limit = 1000
	for {
		page, err := list(c.ctx, c.read(), q)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.Next == "" {
			slices.SortStableFunc(all, func(a, b T) int {
				return any(&a).(resource.Object).Head().Created.Compare(any(&b).(resource.Object).Head().Created)
			})
			return all, nil
		}
		q.After = page.Next
	}
}

// listed is everything of a list, and the scene to tell its states by.
func listed[T any](c *call, list func(context.Context, service.Call, service.Query) (service.Page[T], error), q service.Query) ([]T, *scene, error) {
	all, err := everything(c, list, q)
	if err != nil {
		return nil, nil, err
	}
	s, err := c.scene()
	return all, s, err
}

// page cuts a list by PageNumber and PageSize, and puts the numbers into the answer.
func page[T any](c *call, name string, all []T, one func(*T) reply) (reply, error) {
	number, err := c.params.number("PageNumber", 1, 1_000_000, 1)
	if err != nil {
		return nil, err
	}
	size, err := c.params.number("PageSize", 1, 1000, 10)
	if err != nil {
		return nil, err
	}
	items := []reply{}
	for i := (number - 1) * size; i < min(number*size, len(all)); i++ {
		items = append(items, one(&all[i]))
	}
	return reply{name: items, "TotalCount": len(all), "PageNumber": number, "PageSize": size}, nil
}

// pageByToken cuts a list by NextToken and MaxResults. The token is where the
// next page begins.
func pageByToken[T any](c *call, name string, all []T, one func(*T) reply) (reply, error) {
	size, err := c.params.number("MaxResults", 1, 1000, 50)
	if err != nil {
		return nil, err
	}
	start := 0
	if token := c.params.text("NextToken"); token != "" {
		if _, err := fmt.Sscanf(token, "next-%d", &start); err != nil || start < 0 || start > len(all) || token != fmt.Sprintf("next-%d", start) {
			return nil, refuse("InvalidParameter", "NextToken is not one that a page before gave")
		}
	}
	end := min(start+size, len(all))
	items := []reply{}
	for i := start; i < end; i++ {
		items = append(items, one(&all[i]))
	}
	next := ""
	if end < len(all) {
		next = fmt.Sprintf("next-%d", end)
	}
	return reply{name: items, "TotalCount": len(all), "MaxResults": size, "NextToken": next}, nil
}

// millis is an instant as most answers have it.
func millis(o resource.Object) int64 { return o.Head().Created.UnixMilli() }

// neverExpires is what clients that look for an expiry are told: the end of 2099.
const neverExpires int64 = 4102444799000

// remember keeps what a client said, to be answered again.
func remember(m *resource.Meta, key, value string) {
	if value == "" {
		return
	}
	next := maps.Clone(m.Compat)
	if next == nil {
		next = map[string]string{}
	}
	next[key] = value
	m.Compat = next
}

// said is what a client said, or fallback.
func said(m *resource.Meta, key, fallback string) string {
	if v := m.Compat[key]; v != "" {
		return v
	}
	return fallback
}

// rename takes Name and Description over, where they were sent.
func (c *call) rename(m *resource.Meta) {
	if c.params.sent("Name") {
		m.Title = c.params.text("Name")
	}
	if c.params.sent("Description") {
		m.Description = c.params.text("Description")
	}
}

// upper is a word of ours in the vendor's capitals: source-ip, SOURCE_IP.
func upper[S ~string](s S) string { return strings.ToUpper(strings.ReplaceAll(string(s), "-", "_")) }

// forget is the opposite of remember.
func forget(m *resource.Meta, keys ...string) {
	next := maps.Clone(m.Compat)
	for _, key := range keys {
		delete(next, key)
	}
	m.Compat = next
}
