package resource

import (
	"errors"
	"fmt"
	"strings"

	"causeway/internal/problem"
)

// Class says what sort of refusal a code is: what an HTTP status, an exit code
// or a decision to try again goes by.
type Class string

const (
	Invalid         Class = "invalid"         // the request is wrong by itself
	Missing         Class = "missing"         // something it names does not exist
	Conflict        Class = "conflict"        // somebody else was first: the revision moved, the name or address is taken
	Forbidden       Class = "forbidden"       // the caller may not
	Unauthenticated Class = "unauthenticated" // nobody knows who the caller is
	Precondition    Class = "precondition"    // not in the state that things are in now
	Quota           Class = "quota"           // more than a limit allows
	Unavailable     Class = "unavailable"     // try again later: the store cannot be reached
	Internal        Class = "internal"        // our own mistake
)

// Code says which rule refused. Codes are stable: programs may branch on them.
type Code string

const (
	CodeInvalidField     Code = "invalid-field"      // a field has a value that is not allowed
	CodeUnsupported      Code = "unsupported"        // a value that has a meaning, but not here yet (TCP)
	CodeImmutable        Code = "immutable"          // a field that never changes was to be changed
	CodeNotFound         Code = "not-found"          // the resource itself, or one that it names, does not exist
	CodeExists           Code = "already-exists"     // the name is taken
	CodeRevisionMoved    Code = "revision-moved"     // it changed since the revision that was expected
	CodeTokenReused      Code = "token-reused"       // an idempotency token came with another request
	CodeBusy             Code = "busy"               // others kept writing; try again
	CodeInUse            Code = "in-use"             // others hang below; they are named
	CodeNoBasicPackage   Code = "no-basic-package"   // the accelerator has no Basic bandwidth package bound
	CodeAlreadyBound     Code = "already-bound"      // the package, or the accelerator's place for one, is taken
	CodeNotBound         Code = "not-bound"          // the package is not bound to that accelerator
	CodeBandwidth        Code = "bandwidth-exceeded" // more bandwidth than the package or the spec has
	CodeSpecLimit        Code = "spec-limit"         // more regions or bandwidth than the accelerator's spec allows
	CodeQuota            Code = "quota-exceeded"     // more listeners, ports, endpoints … than one thing may have
	CodePortTaken        Code = "port-taken"         // another listener has that address and port
	CodePortReserved     Code = "port-reserved"      // a port that listeners cannot have
	CodeNoAddress        Code = "no-address"         // the PoP's pool has no free address
	CodeAddressTaken     Code = "address-taken"      // the address asked for is taken
	CodeNoPoP            Code = "no-pop"             // no PoP in that region can take it
	CodeRegionTaken      Code = "region-taken"       // the accelerator has an IP set, the listener a group, in that region already
	CodeEndpointRefused  Code = "endpoint-refused"   // an endpoint that no traffic may be sent to
	CodeDomainUnresolved Code = "domain-unresolved"  // a domain endpoint that resolves to nothing
	CodeDowngrade        Code = "downgrade"          // a package kind can only be upgraded
	CodeDenied           Code = "denied"             // the caller's role does not allow it
	CodeUnauthenticated  Code = "unauthenticated"    // no key, an unknown one, or one that is switched off
	CodeTokenInvalid     Code = "enrolment-refused"  // an enrolment token that is unknown, used, over or for another PoP
	CodeLastAdmin        Code = "last-admin"         // nobody would be left who may create access keys
	CodeThrottled        Code = "too-many-requests"  // a caller, or an address that fails to sign in, asked too often
	CodeUnavailable      Code = "unavailable"        // the store did not answer
	CodeCompacted        Code = "compacted"          // a watch asked for changes that are no longer kept
	CodeInternal         Code = "internal"
)

// Error is what every refusal of the control plane is.
type Error struct {
	Code    Code    `json:"code"`
	Message string  `json:"message"`           // one sentence: what was tried and why it cannot be
	Subject Ref     `json:"subject,omitzero"`  // the resource it was tried on
	Field   string  `json:"field,omitempty"`   // the field of the request: ports[0].from; empty when it is about the whole
	Found   string  `json:"found,omitempty"`   // what was given
	Allowed string  `json:"allowed,omitempty"` // what would have been accepted
	Fix     string  `json:"fix,omitempty"`     // what to do
	Refers  []Ref   `json:"refers,omitempty"`  // other resources that stand in the way
	More    []Error `json:"more,omitempty"`    // further refusals of the same request, each whole

	Cause error `json:"-"` // for the log; never shown to API callers
}

// Errorf returns an Error with a message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// At returns e with the field that is wrong and what was found in it.
func (e *Error) At(field string, found any) *Error {
	e.Field = field
	if found != nil {
		e.Found = fmt.Sprint(found)
	}
	return e
}

// Allow returns e with what would have been accepted.
func (e *Error) Allow(format string, args ...any) *Error {
	e.Allowed = fmt.Sprintf(format, args...)
	return e
}

// WithFix returns e with what to do about it.
func (e *Error) WithFix(format string, args ...any) *Error {
	e.Fix = fmt.Sprintf(format, args...)
	return e
}

// About returns e with the resources that stand in the way.
func (e *Error) About(refs ...Ref) *Error {
	e.Refers = append(e.Refers, refs...)
	return e
}

// On returns e with the resource it was tried on, unless it has one.
func (e *Error) On(r Ref) *Error {
	if e.Subject == (Ref{}) {
		e.Subject = r
	}
	return e
}

// Error is the whole refusal on one line, and one more for each further one.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	if e.Field != "" {
		fmt.Fprintf(&b, "; field %s", e.Field)
		if e.Found != "" {
			fmt.Fprintf(&b, ": found %q", e.Found)
		}
	}
	if e.Allowed != "" {
		fmt.Fprintf(&b, "; allowed: %s", e.Allowed)
	}
	if e.Fix != "" {
		fmt.Fprintf(&b, "; %s", e.Fix)
	}
	fmt.Fprintf(&b, " [%s]", e.Code)
	for i := range e.More {
		b.WriteString("\n" + e.More[i].Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether target is an *Error with the same code, so that
// errors.Is(err, &Error{Code: CodeNotFound}) asks for a code.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Code == e.Code && other.Message == ""
}

// AsError returns err as an *Error; what is none becomes an internal one whose
// cause is for the log only. It returns nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		return e
	}
	return &Error{Code: CodeInternal, Message: "something went wrong inside the controller", Fix: "look into its log; the request was not carried out", Cause: err}
}

// CodeOf returns the code of err, CodeInternal for foreign errors and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return AsError(err).Code
}

// Refuse turns what Validate found into an Error, or nil when it found nothing.
func Refuse(subject Ref, found problem.List) *Error {
	if len(found) == 0 {
		return nil
	}
	each := func(p problem.Problem) Error {
		message := fmt.Sprintf("%s cannot be so", subject)
		if p.Found == "" {
			message = fmt.Sprintf("%s lacks %s", subject, p.Path)
		}
		return Error{Code: codeOf(p), Message: message, Subject: subject, Field: p.Path, Found: p.Found, Allowed: p.Allowed, Fix: p.Fix}
	}
	e := each(found[0])
	for _, p := range found[1:] {
		e.More = append(e.More, each(p))
	}
	return &e
}
