// Package service holds every operation of the control plane once, each one
// transaction: judge the caller, judge the request, read what it refers to,
// write. The native API, the compatible API, the agents' link and the command
// line all come through here.
//
// Every mutation takes a Call: who asks, an idempotency token, the revision it
// expects, and whether it only asks what would happen. Every refusal is a
// *resource.Error, and then nothing was written.
//
// How it stays right with several controllers beside one another: all
// mutations read at one revision and commit on the condition that no other
// mutation came between (one key, "serial", is touched by each). So rules
// between resources can be checked by plain reading, and transactions happen
// as if one after the other.
//
// One file per noun. What serves agents and the controller is in agent.go,
// enrol.go, world.go and domains.go.
package service
