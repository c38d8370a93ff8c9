// Package vpn is the vocabulary of IPsec connections: what a tunnel is made of
// as one of its two ends sees it, which words name its algorithms, and what can
// be found wrong with one. Resources hold these types, a gateway's snapshot is
// made of them, device configurations are written from them, and a diagnosis
// speaks in them, so that every value has one place where it comes from.
//
// It holds plain types, defaults and rules, and reads no files and knows no
// daemon. Terms are those of RFC 7296 (IKEv2), RFC 2409 (IKEv1), RFC 4301
// (IPsec) and RFC 3948 (UDP encapsulation of ESP).
package vpn
