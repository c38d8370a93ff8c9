package service

import (
	"errors"
	"fmt"
	"strings"
)

func lower(s string) string { return strings.ToLower(s) }

func asError[E error](err error, target *E) bool { return errors.As(err, target) }

func field(format string, args ...any) string { return fmt.Sprintf(format, args...) }
