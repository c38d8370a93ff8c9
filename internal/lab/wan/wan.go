// Package wan is the Internet of the lab: one process that carries every packet
// between the lab's hosts through the weather of the link it takes.
//
// Each node has a TUN device, made inside its network namespace and read here.
// A packet's source and destination addresses choose its link; the link's weather
// says whether it arrives and when; a heap holds it until then.
//
// The weather is package weather's; which nodes and links there are is the lab's
// to say (Config), and so is when to begin and what to change (Client).
package wan

import (
	"context"
	"errors"
)

// Run is the emulator: it attaches the nodes, carries packets until ctx ends or
// a client says stop, and gives everything back. It wants root.
func Run(ctx context.Context, c Config) error { return errors.New("not built yet") }
