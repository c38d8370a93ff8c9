// Package auth says who is calling and what they may do: the roles, the table
// of which role each of the service's methods needs, and the sealing of the
// secrets of access keys. A method that is not in the table is refused to
// everybody, and a test of the service fails when one is forgotten.
//
// Checking signatures and certificates is left to those who read requests off
// the network; they hand over a Caller.
package auth

import (
	"cmp"
	"net/netip"
	"slices"

	"causeway/internal/resource"
)

// Caller is who asks. The zero value is nobody.
type Caller struct {
	Name string        // for logs and for idempotency tokens: an access key's ID, or the PoP's name
	Role resource.Role // reader, operator, admin, or Agent
	PoP  string        // of an Agent: whose certificate it showed, by its name on the agents' link
	From netip.Addr    // where the request came from, for the audit log; zero: from inside the controller
}

// AddressOf is where a request with that http.Request.RemoteAddr came from; zero
// when that cannot be told. Headers that proxies add are not believed: anybody can
// send them.
func AddressOf(remote string) netip.Addr {
	from, _ := netip.ParseAddrPort(remote)
	return from.Addr().Unmap()
}

// Agent is the role of the agents of PoPs and VPN gateways. It includes no other and is included in none.
const Agent resource.Role = "agent"

// Local is the caller inside the controller's own process.
var Local = Caller{Name: "local", Role: resource.Admin}

// ForAgent is the agent of that name: a PoP's, or a VPN gateway's.
func ForAgent(name string) Caller { return Caller{Name: "pop:" + name, Role: Agent, PoP: name} }

// Anyone is what a method needs that tells by other means who is calling, such
// as enrolment by its token.
const Anyone resource.Role = "anyone"

// Table says the least role that may call each method of the service.
var Table = map[string]resource.Role{
	"GetRegion": resource.Reader, "ListRegions": resource.Reader,
	"CreateRegion": resource.Admin, "UpdateRegion": resource.Admin, "DeleteRegion": resource.Admin,

	"GetPoP": resource.Reader, "ListPoPs": resource.Reader,
	"CreatePoP": resource.Admin, "UpdatePoP": resource.Admin, "DeletePoP": resource.Admin,
	"RevokePoP": resource.Admin,
	"RenewPoP":  Agent, "ReportPoP": Agent,

	"GetAccelerator": resource.Reader, "ListAccelerators": resource.Reader,
	"CreateAccelerator": resource.Operator, "UpdateAccelerator": resource.Operator, "DeleteAccelerator": resource.Operator,

	"GetBandwidthPackage": resource.Reader, "ListBandwidthPackages": resource.Reader,
	"CreateBandwidthPackage": resource.Operator, "UpdateBandwidthPackage": resource.Operator, "DeleteBandwidthPackage": resource.Operator,
	"BindBandwidthPackage": resource.Operator, "UnbindBandwidthPackage": resource.Operator, "ReplaceBandwidthPackage": resource.Operator,

	"GetIPSet": resource.Reader, "ListIPSets": resource.Reader,
	"CreateIPSet": resource.Operator, "UpdateIPSet": resource.Operator, "DeleteIPSet": resource.Operator,
	"CreateIPSets": resource.Operator, "UpdateIPSets": resource.Operator, "DeleteIPSets": resource.Operator,

	"GetListener": resource.Reader, "ListListeners": resource.Reader,
	"CreateListener": resource.Operator, "UpdateListener": resource.Operator, "DeleteListener": resource.Operator,

	"GetACL": resource.Reader, "ListACLs": resource.Reader,
	"CreateACL": resource.Operator, "UpdateACL": resource.Operator, "DeleteACL": resource.Operator,

	"GetEndpointGroup": resource.Reader, "ListEndpointGroups": resource.Reader,
	"CreateEndpointGroup": resource.Operator, "UpdateEndpointGroup": resource.Operator, "DeleteEndpointGroup": resource.Operator,

	"GetEgressIP": resource.Reader, "ListEgressIPs": resource.Reader,
	"CreateEgressIP": resource.Operator, "UpdateEgressIP": resource.Operator, "DeleteEgressIP": resource.Operator,

	"GetVPNGateway": resource.Reader, "ListVPNGateways": resource.Reader,
	"CreateVPNGateway": resource.Operator, "UpdateVPNGateway": resource.Operator, "DeleteVPNGateway": resource.Operator,
	"RevokeVPNGateway": resource.Admin,

	"GetCustomerGateway": resource.Reader, "ListCustomerGateways": resource.Reader,
	"CreateCustomerGateway": resource.Operator, "UpdateCustomerGateway": resource.Operator, "DeleteCustomerGateway": resource.Operator,

	"GetIPsecConnection": resource.Reader, "ListIPsecConnections": resource.Reader,
	"CreateIPsecConnection": resource.Operator, "UpdateIPsecConnection": resource.Operator, "DeleteIPsecConnection": resource.Operator,

	"GetVPNConfig": resource.Reader, // with secrets: who may RevealSecrets
	"DiagnoseVPN":  resource.Reader,

	"GetVPNRoute": resource.Reader, "ListVPNRoutes": resource.Reader,
	"CreateVPNRoute": resource.Operator, "UpdateVPNRoute": resource.Operator, "DeleteVPNRoute": resource.Operator,

	"RevealSecrets": resource.Operator, // of VPNs; those of access keys and tokens are never shown again

	"GetAccessKey": resource.Admin, "ListAccessKeys": resource.Admin,
	"CreateAccessKey": resource.Admin, "UpdateAccessKey": resource.Admin, "DeleteAccessKey": resource.Admin,

	"GetToken": resource.Admin, "ListTokens": resource.Admin,
	"CreateToken": resource.Admin, "DeleteToken": resource.Admin,
	"Enrol": Anyone,

	"Apply":  resource.Reader, // each object in it needs what creating or changing it by itself does
	"Export": resource.Reader,
	"Watch":  resource.Reader,

	"ListAudit":  resource.Reader,
	"Reseal":     resource.Admin,
	"NoteBackup": resource.Admin,
}

// API says the same for methods of the API that are not the service's own.
var API = map[string]resource.Role{
	"WhoAmI":       Anyone,         // who is known may ask
	"Backup":       resource.Admin, // it has everything, also what is sealed
	"GetPoPReport": resource.Reader, "GetVPNGatewayReport": resource.Reader,
	"GetHistory": resource.Reader, "ListHistory": resource.Reader,
	"GetOverview": resource.Reader, "WatchOverview": resource.Reader,
	"ListVPNDevices": resource.Reader,
}

var order = []resource.Role{resource.Reader, resource.Operator, resource.Admin}

// Includes reports whether role may do what needs need.
func Includes(role, need resource.Role) bool {
	if need == Anyone || role == need && role != "" {
		return true
	}
	have, least := slices.Index(order, role), slices.Index(order, need)
	return least >= 0 && have >= least
}

// Authorize returns nil when caller may call method, and otherwise an error
// with CodeDenied, or CodeUnauthenticated when the caller is nobody.
func Authorize(caller Caller, method string) error {
	need, known := Table[method]
	if !known {
		need, known = API[method]
	}
	switch {
	case known && Includes(caller.Role, need):
		return nil
	case caller.Role == "":
		return resource.Errorf(resource.CodeUnauthenticated, "%s needs a caller that is known", method).WithFix("sign the request with an access key")
	case !known:
		return resource.Errorf(resource.CodeDenied, "nobody may call %s, as it is not in the table of permissions", method)
	}
	return resource.Errorf(resource.CodeDenied, "%s, with the role %s, may not call %s", cmp.Or(caller.Name, "the caller"), caller.Role, method).
		Allow("the role %s", need).WithFix("use a key with that role, or ask an admin for one")
}
