// Package vpngw is the agent beside strongSwan on a VPN gateway: it makes charon
// do what a gateway's snapshot says, keeps it alive, keeps routes in the kernel
// that follow the tunnels, and tells how all of that is.
//
// One goroutine, the engine, owns everything that changes. Its turn comes twice
// a second and whenever something happened: it looks whether charon answers
// (charon, swan), asks for its security associations, judges each tunnel, chooses
// between two (failover), does what follows from that, and writes the report that
// a status socket gives out. What charon says is never remembered longer than to
// the next turn.
//
// When and from where snapshots are read is package agent's business.
//
// Packets are the business of charon and the kernel.
package vpngw
