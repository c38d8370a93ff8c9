package aliyunapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"causeway/internal/resource"
)

// Error is a refusal in the vendor's words.
type Error struct {
	Status  int    // of HTTP
	Code    string // the vendor's, exactly
	Message string // ours
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// As lets a refusal go through the service as one of its own, whole: what is
// unknown there would be taken for a mistake of ours, and logged.
func (e *Error) As(target any) bool {
	to, ok := target.(**resource.Error)
	if ok {
		*to = &resource.Error{Code: resource.CodeInvalidField, Message: "the compatible API refused", Cause: e}
	}
	return ok
}

// refuse returns a refusal; its HTTP status follows from the code.
func refuse(code, format string, args ...any) *Error {
	return &Error{Status: statusOf(code), Code: code, Message: fmt.Sprintf(format, args...)}
}

func statusOf(code string) int {
	switch {
	case strings.HasPrefix(code, "NotExist."):
		if code == "NotExist.BasicBandwidthPackage" { // nothing is missing that was named
			return http.StatusBadRequest
		}
		return http.StatusNotFound
	case strings.HasSuffix(code, ".NotFound"):
		return http.StatusNotFound
	case strings.HasPrefix(code, "Forbidden"):
		return http.StatusForbidden
	case code == "ServiceUnavailable":
		return http.StatusServiceUnavailable
	case code == "InternalError":
		return http.StatusInternalServerError
	case code == "UnsupportedHTTPMethod":
		return http.StatusMethodNotAllowed
	case code == "RequestBodyTooLarge":
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

// notExist is the code of a resource that is not there.
var notExist = map[resource.Kind]string{
	resource.KindAccelerator: "NotExist.Accelerator", resource.KindListener: "NotExist.Listener", resource.KindEndpointGroup: "NotExist.EndPointGroup",
	resource.KindIPSet: "NotExist.IpSet", resource.KindBandwidthPackage: "NotExist.BandwidthPackage", resource.KindACL: "NotExist.Acl",
	resource.KindRegion: "NotExist.BusinessRegion", resource.KindEgressIP: "NotExist.EgressIp",
	resource.KindVPNGateway: "InvalidVpnGatewayInstanceId.NotFound", resource.KindCustomerGateway: "InvalidCustomerGatewayInstanceId.NotFound",
	resource.KindIPsecConnection: "InvalidVpnConnectionInstanceId.NotFound", resource.KindVPNRoute: "InvalidRouteEntry.NotFound",
}

// fixedCodes are refusals of the service whose code does not depend on the resource.
var fixedCodes = map[resource.Code]string{
	resource.CodeNoBasicPackage: "NotExist.BasicBandwidthPackage", resource.CodePortTaken: "PortConflict.Listener", resource.CodeUnsupported: "ProtocalIllegal.Listener",
	resource.CodeDowngrade: "UpgradeError.BandwidthPackage", resource.CodeNotBound: "StateError.BandwidthPackage",
	resource.CodeNoPoP: "NotSuitable.RegionSelection", resource.CodeNoAddress: "NotSuitable.RegionSelection", resource.CodeAddressTaken: "NotSuitable.RegionSelection",
	resource.CodeEndpointRefused: "IllegalParameter.Endpoint", resource.CodeDomainUnresolved: "IllegalParameter.Endpoint",
	resource.CodeDenied: "Forbidden.RAM", resource.CodeUnauthenticated: "InvalidAccessKeyId.NotFound", resource.CodeTokenReused: "IdempotentParameterMismatch",
	resource.CodeThrottled: "Throttling.User", resource.CodeUnavailable: "ServiceUnavailable", resource.CodeBusy: "ServiceUnavailable", resource.CodeInternal: "InternalError",
	resource.CodeExists: "EntityAlreadyExists",
}

// vendorError puts any refusal into the vendor's words. Kind is what the action
// is about.
func vendorError(kind resource.Kind, err error) *Error {
	if ours := (*Error)(nil); errors.As(err, &ours) {
		return ours
	}
	e := resource.AsError(err)
	code := codeOf(kind, e)
	return &Error{Status: statusOf(code), Code: code, Message: sentence(e)}
}

func codeOf(kind resource.Kind, e *resource.Error) string {
	if kind == resource.KindBandwidthPackage && e.Code == resource.CodeNoBasicPackage {
		return "Exist.IpSet" // they need the package that was to go
	}
	if code, ok := vpnCode(kind, e); ok {
		return code
	}
	if code, ok := fixedCodes[e.Code]; ok {
		if e.Code == resource.CodeUnsupported && kind != resource.KindListener {
			return "InvalidParameter"
		}
		return code
	}
	switch e.Code {
	case resource.CodeNotFound:
		if code, ok := notExist[e.Subject.Kind]; ok {
			return code
		}
	case resource.CodeRegionTaken:
		if kind == resource.KindIPSet {
			return "Exist.IpSet"
		}
		return "Exist.EndpointGroup"
	case resource.CodeAlreadyBound:
		if len(e.Refers) > 0 && e.Refers[0].Kind == resource.KindBandwidthPackage {
			return "BindExist.Accelerator" // the accelerator has a package of that type
		}
		return "BindExist.BandwidthPackage"
	case resource.CodeBandwidth:
		if kind == resource.KindBandwidthPackage {
			return "BandwidthIllegal.BandwidthPackage"
		}
		return "GreaterThanGa.IpSetBandwidth"
	case resource.CodeSpecLimit:
		switch {
		case kind == resource.KindAccelerator:
			return "IllegalParameter.Spec"
		case kind == resource.KindBandwidthPackage:
			return "BandwidthIllegal.BandwidthPackage"
		}
		return "QuotaExceeded.IpSet"
	case resource.CodeQuota:
		return quotaCode(kind, e)
	case resource.CodePortReserved:
		if strings.Contains(e.Allowed, "other than") && !beyondPorts(e.Found) {
			return "PortRangeIllegal.UDP"
		}
		return "SystemPort.Listener"
	case resource.CodeInUse:
		return inUseCode(kind, e)
	case resource.CodeInvalidField, resource.CodeImmutable:
		return fieldCode(kind, e)
	}
	return "InvalidParameter"
}

// vpnCode is the code of a refusal about VPNs, whose product has words of its own.
func vpnCode(kind resource.Kind, e *resource.Error) (string, bool) {
	field := func(name string) bool {
		return strings.HasPrefix(e.Field, name) || strings.Contains(e.Field, "]."+name)
	}
	switch kind {
	case resource.KindVPNGateway, resource.KindCustomerGateway, resource.KindIPsecConnection, resource.KindVPNRoute:
	default:
		return "", false
	}
	switch e.Code {
	case resource.CodeInUse:
		return "DependencyViolation", true
	case resource.CodeQuota:
		if kind == resource.KindVPNRoute {
			return "QuotaExceeded.PolicyBasedRoute", true
		}
		return "Resource.QuotaFull", true
	case resource.CodeExists, resource.CodeAddressTaken:
		switch kind {
		case resource.KindCustomerGateway:
			return "InvalidIpAddress.AlreadyExist", true
		case resource.KindVPNRoute:
			return "InvalidRouteEntry.AlreadyExist", true
		}
		return "InvalidVpnConnection.AlreadyExists", true
	case resource.CodeInvalidField, resource.CodeImmutable, resource.CodeUnsupported:
	default:
		return "", false
	}
	switch {
	case kind == resource.KindCustomerGateway && field("address"):
		return "InvalidIpAddress.WrongFormat", true
	case field("local_networks"):
		return "IllegalParam.LocalSubnet", true
	case field("remote_networks"):
		return "IllegalParam.RemoteSubnet", true
	case field("ike"), field("auth"), field("local_id"), field("remote_id"):
		return "IllegalParam.IkeConfig", true
	case field("esp"):
		return "IllegalParam.IpsecConfig", true
	}
	return "InvalidParameter", true
}

// beyondPorts reports a port, or a range that ends, above those for users.
func beyondPorts(found string) bool {
	_, to, ranged := strings.Cut(found, "-")
	if !ranged {
		to = found
	}
	var n int
	_, _ = fmt.Sscan(to, &n)
	return n > resource.MaxPort
}

func quotaCode(kind resource.Kind, e *resource.Error) string {
	switch {
	case strings.HasPrefix(e.Field, "ports"):
		return "QuotaExceeded.ListenerPort"
	case strings.HasPrefix(e.Field, "endpoints"):
		return "QuotaExceeded.EndPoint"
	case kind == resource.KindListener:
		return "QuotaExceeded.Listener"
	case kind == resource.KindEndpointGroup:
		return "QuotaExceeded.EndpointGroup"
	case kind == resource.KindACL:
		return "QuotaExceeded.AclEntry"
	}
	return "QuotaExceeded"
}

// inUseCode says what hangs below something that was to go, the first in the
// order in which clients take things down.
func inUseCode(kind resource.Kind, e *resource.Error) string {
	has := func(k resource.Kind) bool {
		return slices.ContainsFunc(e.Refers, func(r resource.Ref) bool { return r.Kind == k })
	}
	switch {
	case e.Subject.Kind == resource.KindACL:
		return "AclHasBindListener"
	case kind == resource.KindBandwidthPackage && has(resource.KindAccelerator):
		return "BindExist.BandwidthPackage"
	case kind == resource.KindBandwidthPackage && has(resource.KindBandwidthPackage):
		return "BindExist.CrossDomain"
	case kind == resource.KindBandwidthPackage && has(resource.KindIPSet):
		return "Exist.IpSet"
	case kind == resource.KindBandwidthPackage:
		return "BandwidthPackageCannotUnbind.HasCrossRegion"
	case has(resource.KindListener):
		return "Exist.Listener"
	case has(resource.KindEndpointGroup):
		return "Exist.EndpointGroup"
	case has(resource.KindIPSet):
		return "Exist.IpSet"
	case has(resource.KindBandwidthPackage):
		return "BindExist.BandwidthPackage"
	}
	return "OperationConflict"
}

// fieldCode is the code of a value that is not allowed.
func fieldCode(kind resource.Kind, e *resource.Error) string {
	switch {
	case strings.HasPrefix(e.Field, "ports"):
		return "PortRangeIllegal.Listener"
	case kind == resource.KindListener && e.Field == "protocol":
		return "ProtocalIllegal.Listener"
	case e.Field == "spec":
		return "IllegalParameter.Spec"
	case kind == resource.KindBandwidthPackage && e.Field == "mbps":
		return "BandwidthIllegal.BandwidthPackage"
	case strings.HasPrefix(e.Field, "endpoints"):
		return "IllegalParameter.Endpoint"
	}
	return "InvalidParameter"
}

// sentence is a refusal of the service for people.
func sentence(e *resource.Error) string {
	if e.Code == resource.CodeInternal {
		return e.Message
	}
	text := e.Error()
	if at := strings.LastIndex(text, " ["); at > 0 && strings.HasSuffix(text, "]") && !strings.Contains(text, "\n") {
		text = text[:at]
	}
	return text
}
