// Package resource is the vocabulary of the control plane: the nouns that users
// create (region, PoP, accelerator, bandwidth package, IP set, listener,
// endpoint group, egress IP, ACL, VPN gateway, customer gateway, IPsec connection,
// VPN route, access key, token), the states they are in, the
// rules that one of them can be judged by alone (Validate), and the error that
// every refusal is (Error).
//
// A resource is known by its kind and its name. Names are unique within a kind
// and never change; whoever refers to a resource writes its name, and wherever
// a name is read, the resource's ID is taken as well. What is written by users
// stands in the ...Spec structs; the field Given holds what the service gave
// out and keeps (addresses, labels); Status is worked out when it is read.
//
// Rules between resources are the service's. The package reads no clock and
// talks to nobody.
package resource
