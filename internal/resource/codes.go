package resource

// CodeRow explains one code.
type CodeRow struct {
	Code    Code
	Class   Class
	Meaning string // when it comes
	Fix     string // what to do, in general; an Error says it for the case
}

// CodeTable explains all codes there are. docs/reference/errors.md is made from it.
var CodeTable = []CodeRow{
	{CodeInvalidField, Invalid, "a field has a value that is not allowed", "correct the field; the error says what is allowed"},
	{CodeUnsupported, Invalid, "a value that has a meaning, but not here yet (TCP)", "leave the value out, or wait for a version that has it"},
	{CodeImmutable, Invalid, "a field that never changes was to be changed", "leave the field as it is, or make a new resource and delete the old one"},
	{CodeNotFound, Missing, "the resource itself, or one that it names, does not exist", "correct the name, or create what is missing; the error names what there is"},
	{CodeExists, Conflict, "the name is taken", "choose another name, or update what is there"},
	{CodeRevisionMoved, Conflict, "it changed since the revision that was expected", "read the resource again, look at what changed, and repeat the edit with the new revision"},
	{CodeTokenReused, Conflict, "an idempotency token came with another request", "use a new token for every new request, and the old one only to repeat it"},
	{CodeBusy, Conflict, "others kept writing; try again", "try again"},
	{CodeInUse, Precondition, "others hang below; they are named", "delete or change first what the error names"},
	{CodeNoBasicPackage, Precondition, "the accelerator has no Basic bandwidth package bound", "bind a Basic package to the accelerator, or give it the spec custom"},
	{CodeAlreadyBound, Conflict, "the package, or the accelerator's place for one, is taken", "unbind first, or put one package in the place of another with bandwidth-package replace"},
	{CodeNotBound, Precondition, "the package is not bound to that accelerator", "bind it first"},
	{CodeBandwidth, Quota, "more bandwidth than the package or the spec has", "ask for less, or use a larger package or spec"},
	{CodeSpecLimit, Quota, "more regions or bandwidth than the accelerator's spec allows", "choose a larger spec, or need less"},
	{CodeQuota, Quota, "more listeners, ports, endpoints … than one thing may have", "spread over several listeners, groups or accelerators"},
	{CodePortTaken, Conflict, "another listener has that address and port", "use another port, or an IP set with an address of its own"},
	{CodePortReserved, Invalid, "a port that listeners cannot have", "use another port"},
	{CodeNoAddress, Quota, "the PoP's pool has no free address", "add addresses to a PoP of the region, or delete what is not needed"},
	{CodeAddressTaken, Conflict, "the address asked for is taken", "ask for another address, or leave it out to get any"},
	{CodeNoPoP, Precondition, "no PoP in that region can take it", "create a PoP in the region, lift its cordon, or choose another region"},
	{CodeRegionTaken, Conflict, "the accelerator has an IP set, the listener a group, in that region already", "change the one that is there, or choose another region"},
	{CodeEndpointRefused, Invalid, "an endpoint that no traffic may be sent to", "give the address of the VPN device itself"},
	{CodeDomainUnresolved, Precondition, "a domain endpoint that resolves to nothing", "correct the domain's records, or give an address; a temporary one may be replaced later"},
	{CodeDowngrade, Invalid, "a package kind can only be upgraded", "make another package, and replace this one by it"},
	{CodeDenied, Forbidden, "the caller's role does not allow it", "use a key with a role that may, or ask an admin"},
	{CodeUnauthenticated, Unauthenticated, "no key, an unknown one, or one that is switched off", "use a key that is known and switched on"},
	{CodeTokenInvalid, Unauthenticated, "an enrolment token that is unknown, used, over or for another PoP", "make a new token for that PoP"},
	{CodeLastAdmin, Precondition, "nobody would be left who may create access keys", "create another admin key first"},
	{CodeThrottled, Quota, "the caller, or an address that failed to sign in, asked too often; nothing was done", "wait as long as the header Retry-After says, then repeat the request"},
	{CodeUnavailable, Unavailable, "the store did not answer", "try again with the same idempotency token: it may have been carried out or not, and will not be carried out twice"},
	{CodeCompacted, Precondition, "a watch asked for changes that are no longer kept", "list again, and watch from the revision that the list has"},
	{CodeInternal, Internal, "something went wrong inside the controller", "look into the controller's log; nothing was changed"},
}

// Codes are all codes there are.
var Codes = func() []Code {
	codes := make([]Code, len(CodeTable))
	for i, row := range CodeTable {
		codes[i] = row.Code
	}
	return codes
}()

// Class returns what sort of refusal c is; Internal for one that does not exist.
func (c Code) Class() Class {
	for _, row := range CodeTable {
		if row.Code == c {
			return row.Class
		}
	}
	return Internal
}
