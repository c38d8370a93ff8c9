package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"causeway/internal/apiclient"
	"causeway/internal/resource"
)

// remote is where a command finds its controller.
type remote struct {
	profile string
	timeout time.Duration
}

func (r *remote) flags(c *cobra.Command) {
	c.Flags().StringVar(&r.profile, "profile", "", "file that says which controller to call, and as whom (default: $"+ProfileEnv+", ~/.config/causeway/profile.yaml)")
	c.Flags().DurationVar(&r.timeout, "timeout", time.Minute, "how long to wait, for the answer and with --wait")
	_ = c.MarkFlagFilename("profile", "yaml")
}

// with calls do with a client. Errors come back as people want them.
func (r *remote) with(c *cobra.Command, do func(context.Context, *apiclient.Client) error) error {
	ctx, cancel := context.WithTimeout(c.Context(), r.timeout)
	defer cancel()
	return r.during(ctx, do)
}

// forever is with for commands that run until they are interrupted.
func (r *remote) forever(c *cobra.Command, do func(context.Context, *apiclient.Client) error) error {
	ctx, cancel := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	err := r.during(ctx, do)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (r *remote) during(ctx context.Context, do func(context.Context, *apiclient.Client) error) error {
	profile, err := ReadProfile(r.profile)
	if err != nil {
		return err
	}
	client := apiclient.New(profile)
	defer client.Close()
	client.Waiting = tellWait
	return refusal(do(ctx, client))
}

// tellWait says that a controller wants to be asked less often.
func tellWait(wait time.Duration) {
	fmt.Fprintf(os.Stderr, "the controller has had too many requests of this caller: trying again in %v\n", wait.Round(100*time.Millisecond))
}

// refusal is a controller's error as a command ends with it.
func refusal(err error) error {
	var e *resource.Error
	var own *Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &e):
		told := *e
		told.Fix = ""
		why := told.Error()
		return &Error{Err: errors.New(why), Fix: e.Fix, Code: codeOfClass(e.Code)}
	case errors.Is(err, apiclient.ErrUnreachable):
		return &Error{Err: err, Code: NotFound, Fix: "is the controller running, and is it the one that the profile names?"}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Err: err, Code: Timeout, Fix: "ask again with a longer --timeout"}
	}
	return err
}

func codeOfClass(code resource.Code) Code {
	if code == resource.CodeInUse {
		return Conflict
	}
	switch code.Class() {
	case resource.Invalid:
		return Usage
	case resource.Missing:
		return NotFound
	case resource.Forbidden, resource.Unauthenticated:
		return Denied
	case resource.Conflict:
		return Conflict
	}
	return Failed
}

// act calls a method that answers with the resource, and says what was done.
func (r *remote) act(c *cobra.Command, kind resource.Kind, method string, m proto.Message, done string, dryRun bool) error {
	return r.with(c, func(ctx context.Context, client *apiclient.Client) error {
		fields := m.ProtoReflect().Descriptor().Fields()
		m.ProtoReflect().Set(fields.ByName("request_id"), valueOf(apiclient.NewRequestID()))
		o, err := client.Act(ctx, kind, method, m)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), did(o, done, dryRun))
		return err
	})
}

// did is the line that says what happened to a resource.
func did(o resource.Object, done string, dryRun bool) string {
	if dryRun {
		return fmt.Sprintf("%s would be %s", resource.RefOf(o), done)
	}
	return fmt.Sprintf("%s %s", resource.RefOf(o), done)
}

// exactly refuses any other number of arguments, and says what they are.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return Misuse("%s takes %s, found %q", c.CommandPath(), what, strings.Join(args, " "))
		}
		return nil
	}
}
