package apiclient

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"connectrpc.com/connect"

	"causeway/internal/apiform"
	"causeway/internal/pki"
	"causeway/internal/resource"
)

// ErrEnded is a stream that the controller ended; it can be resumed.
var ErrEnded = errors.New("the controller ended the stream")

// ErrUnreachable is a controller that does not answer, or is not the right one.
var ErrUnreachable = errors.New("the controller cannot be reached")

// failed is why a call did not work: the controller's refusal, or that it was
// not reached.
func (c *Client) failed(err error) error {
	told := apiform.DecodeError(err)
	if refusal := (*resource.Error)(nil); errors.As(told, &refusal) {
		return refusal
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	switch connect.CodeOf(err) {
	case connect.CodeCanceled:
		return context.Canceled
	case connect.CodeDeadlineExceeded:
		return context.DeadlineExceeded
	}
	why := err
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		why = wrapped.Err
	}
	if errors.Is(err, pki.ErrOtherAuthority) {
		why = pki.ErrOtherAuthority
	}
	return fmt.Errorf("%w at %s: %w", ErrUnreachable, c.profile.Controller, why)
}
