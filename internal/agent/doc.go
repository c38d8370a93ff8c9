// Package agent is what a PoP's agent and a VPN gateway's have in common: taking
// what a snapshot file says, whole or not at all (Snapshots), a copy of the last
// one that worked on disk (Kept), a Unix socket to ask and to command
// (Socket, Call), and being told by a controller instead of by a file (RunLinked).
//
// What a snapshot means, and doing it, is the daemons' business (popagent,
// vpngw); moving bytes between a controller and its agents is agentlink's.
package agent
