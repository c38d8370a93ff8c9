// Package aliyunapi speaks the RPC dialect of Alibaba Cloud's Ga (2019-11-20)
// and Vpc (2016-04-28) products, so that the vendor's own clients drive
// Causeway with nothing but the endpoint changed.
//
// A request goes through the files in this order: handler.go reads it within
// bounds, params.go makes a tree of its parameters, signature.go finds the
// caller (canonical.go spells out what was signed, nonce.go remembers what was
// seen), table.go picks the action, the noun's file calls the service, and
// error.go says a refusal in the vendor's codes. Every rule about resources is
// the service's; here are spellings, states and codes only, and they are exact
// where the vendor's are odd ("binded", "ProtocalIllegal.Listener").
//
// Parameters may hold secrets: they are in no log and in no error but the one
// that goes back to whoever sent them.
package aliyunapi
