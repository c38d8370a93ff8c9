package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// Code is a process's exit code. The numbers are an interface: scripts branch on them.
type Code int

const (
	OK       Code = 0
	Failed   Code = 1 // it was tried and did not work
	Usage    Code = 2 // wrong use, or this machine lacks something: root, a tool, a kernel feature
	NotFound Code = 3 // what was named does not exist
	Denied   Code = 4 // it exists, and may not be had
	Conflict Code = 5 // it is there already, or somebody else has it
	Timeout  Code = 6 // it did not happen in time
)

// ExitCodes is the text of `causeway help exit-codes`.
const ExitCodes = `Every command ends with one of these exit codes:

  0  it worked
  1  it was tried and did not work; for 'lab run': an expectation did not come out
  2  wrong use, or this machine lacks something: root, a tool, a kernel feature
  3  what was named does not exist: a file, a running PoP, a lab
  4  it exists, but this user may not have it
  5  it is there already, or somebody else has it: a key file, a port, a state folder
  6  it did not happen in time

'lab exec' ends with the exit code of the command that it ran.

Errors go to stderr and say what was tried and why it did not work; where a
remedy is known, a second line that begins with "fix:" names it. What commands
print on stdout with -o json is stable.`

// Error is an error with what a person at a terminal wants to know beside it.
type Error struct {
	What string // what was being tried; may be empty when Err says it
	Err  error  // why it did not work
	Fix  string // what to do about it; may be empty
	Code Code   // 0: as Err suggests
}

func (e *Error) Error() string {
	if e.What == "" {
		return e.Err.Error()
	}
	return e.What + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Misuse is an error in how a command was called.
func Misuse(format string, args ...any) *Error {
	return &Error{Err: fmt.Errorf(format, args...), Code: Usage}
}

// WithFix returns e with a remedy.
func (e *Error) WithFix(format string, args ...any) *Error {
	e.Fix = fmt.Sprintf(format, args...)
	return e
}

// CodeOf is the exit code for err.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	// Bare, it is a command that we were asked to run; wrapped, a tool of ours failed.
	if child, ok := err.(*exec.ExitError); ok && child.ExitCode() > 0 {
		return Code(child.ExitCode())
	}
	var own *Error
	if errors.As(err, &own) && own.Code != 0 {
		return own.Code
	}
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		if _, tool := coded.(*exec.ExitError); !tool && coded.ExitCode() > 0 {
			return Code(coded.ExitCode())
		}
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return Timeout
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return NotFound
	case errors.Is(err, fs.ErrPermission):
		return Denied
	case errors.Is(err, fs.ErrExist), errors.Is(err, syscall.EADDRINUSE):
		return Conflict
	}
	return Failed
}

// Print tells err on w: what, why, and on a line of its own what to do. A reason
// of several lines begins on a line of its own, at the margin: they name places
// in a file, and editors look for file:line:col there.
func Print(w io.Writer, err error) {
	what, why, fix := "", err.Error(), ""
	if own, ok := err.(*Error); ok {
		what, why, fix = own.What, own.Err.Error(), own.Fix
	}
	why = strings.TrimRight(why, "\n")
	switch {
	case what == "":
		fmt.Fprintf(w, "causeway: %s\n", why)
	case strings.Contains(why, "\n"):
		fmt.Fprintf(w, "causeway: %s:\n%s\n", what, why)
	default:
		fmt.Fprintf(w, "causeway: %s: %s\n", what, why)
	}
	if fix != "" {
		fmt.Fprintf(w, "  fix: %s\n", fix)
	}
}
