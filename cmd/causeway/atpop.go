package main

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
	"time"

	"causeway/internal/cli"
	"causeway/internal/popagent"
	"causeway/internal/report"
)

// atPoP is where a command finds the PoP that it is about.
type atPoP struct {
	socket  string
	timeout time.Duration
}

func (a atPoP) client() popagent.Client { return popagent.Client{Socket: a.socket} }

// flags adds --socket and --timeout to c.
func (a *atPoP) flags(c *command) {
	c.Flags().StringVar(&a.socket, "socket", defaultSocket, "the socket the PoP was started with")
	c.Flags().DurationVar(&a.timeout, "timeout", 10*time.Second, "how long to wait for the answer")
}

// report asks the PoP how it is.
func (a atPoP) report(ctx context.Context) (report.PoP, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	p, err := a.client().Status(ctx)
	return p, unreachable(err)
}

// unreachable adds to an error what is most likely the matter.
func unreachable(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return &cli.Error{Err: err, Code: cli.NotFound, Fix: "is the PoP running? If it was started with another --socket, give the same one here"}
	case errors.Is(err, fs.ErrPermission):
		return &cli.Error{Err: err, Code: cli.Denied, Fix: "run it as the user the PoP runs as, with sudo"}
	case errors.Is(err, context.DeadlineExceeded):
		return &cli.Error{Err: err, Code: cli.Timeout, Fix: "the PoP is very busy or stuck; try a longer --timeout, and look at its log"}
	}
	return err
}
