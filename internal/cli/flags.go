package cli

import (
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"causeway/internal/problem"
	"causeway/internal/resource"
	"causeway/internal/strictyaml"
	"causeway/internal/vpn"
)

// specFlags are the flags of create and update: each sets one field of the
// resource. An update sets only those that were given.
type specFlags struct {
	command *cobra.Command
	update  bool // flags of fields that never change are left out
	setters []setter
}

type setter struct {
	flag string
	set  func(resource.Object) error
}

// apply sets the fields of o whose flags were given.
func (s *specFlags) apply(o resource.Object) error {
	for _, each := range s.setters {
		if s.command.Flags().Changed(each.flag) {
			if err := each.set(o); err != nil {
				return Misuse("--%s: %w", each.flag, err)
			}
		}
	}
	return nil
}

// changed reports whether any of the flags was given.
func (s *specFlags) changed() bool {
	for _, each := range s.setters {
		if s.command.Flags().Changed(each.flag) {
			return true
		}
	}
	return false
}

// add registers what a flag does with a resource of type T.
func add[T any](s *specFlags, flag string, set func(*T) error) {
	s.setters = append(s.setters, setter{flag, func(o resource.Object) error { return set(any(o).(*T)) }})
}

func textFlag[T any, S ~string](s *specFlags, name, usage string, field func(*T) *S) {
	value := s.command.Flags().String(name, "", usage)
	add(s, name, func(o *T) error { *field(o) = S(*value); return nil })
}

func intFlag[T any](s *specFlags, name, usage string, field func(*T) *int) {
	value := s.command.Flags().Int(name, 0, usage)
	add(s, name, func(o *T) error { *field(o) = *value; return nil })
}

func optionalIntFlag[T any](s *specFlags, name, usage string, field func(*T) **int) {
	value := s.command.Flags().Int(name, 0, usage)
	add(s, name, func(o *T) error { *field(o) = value; return nil })
}

func boolFlag[T any](s *specFlags, name, usage string, field func(*T) *bool) {
	value := s.command.Flags().Bool(name, false, usage)
	add(s, name, func(o *T) error { *field(o) = *value; return nil })
}

func optionalBoolFlag[T any](s *specFlags, name, usage string, field func(*T) **bool) {
	value := s.command.Flags().Bool(name, true, usage)
	add(s, name, func(o *T) error { *field(o) = value; return nil })
}

func durationFlag[T any](s *specFlags, name, usage string, field func(*T) *time.Duration) {
	value := s.command.Flags().Duration(name, 0, usage)
	add(s, name, func(o *T) error { *field(o) = *value; return nil })
}

func addressFlag[T any](s *specFlags, name, usage string, field func(*T) *netip.Addr) {
	value := s.command.Flags().String(name, "", usage)
	add(s, name, func(o *T) error { return parseText(*value, field(o)) })
}

func prefixFlag[T any](s *specFlags, name, usage string, field func(*T) *netip.Prefix) {
	value := s.command.Flags().String(name, "", usage)
	add(s, name, func(o *T) (err error) { *field(o), err = parsePrefix(*value); return err })
}

func uintFlag[T any](s *specFlags, name, usage string, field func(*T) *uint32) {
	value := s.command.Flags().Uint32(name, 0, usage)
	add(s, name, func(o *T) error { *field(o) = *value; return nil })
}

// secretFlag is two flags for one secret: the second reads it from a file, where
// no list of processes shows it.
func secretFlag[T any](s *specFlags, name, usage string, fields func(*T) []*vpn.Secret) {
	value := s.command.Flags().String(name, "", usage+"; a file hides it better")
	file := s.command.Flags().String(name+"-file", "", "file that has it on its first line, or - for standard input")
	set := func(o *T, secret string) {
		for _, field := range fields(o) {
			*field = vpn.Secret(secret)
		}
	}
	add(s, name, func(o *T) error { set(o, *value); return nil })
	add(s, name+"-file", func(o *T) error {
		var text []byte
		var err error
		if *file == "-" {
			text, err = io.ReadAll(io.LimitReader(s.command.InOrStdin(), 64<<10))
		} else {
			text, err = os.ReadFile(*file)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		set(o, strings.TrimSuffix(first, "\r"))
		return err
	})
	_ = s.command.MarkFlagFilename(name + "-file")
}

func parseText(text string, into encoding.TextUnmarshaler) error {
	if err := into.UnmarshalText([]byte(text)); err != nil {
		return fmt.Errorf("%q cannot be read: %w", text, err)
	}
	return nil
}

// listFlag is a flag that may be given several times, once for each element;
// parse turns a text into one element.
func listFlag[T, E any](s *specFlags, name, usage string, field func(*T) *[]E, parse func(string) (E, error)) {
	value := s.command.Flags().StringArray(name, nil, usage)
	add(s, name, func(o *T) error {
		list := make([]E, 0, len(*value))
		for _, text := range *value {
			if text == "" && len(*value) == 1 {
				break // --allow '' empties the list
			}
			e, err := parse(text)
			if err != nil {
				return err
			}
			list = append(list, e)
		}
		*field(o) = list
		return nil
	})
}

// commaFlag is a flag whose elements stand between commas.
func commaFlag[T, E any](s *specFlags, name, usage string, field func(*T) *[]E, parse func(string) (E, error)) {
	value := s.command.Flags().StringSlice(name, nil, usage)
	add(s, name, func(o *T) error {
		list := make([]E, 0, len(*value))
		for _, text := range *value {
			e, err := parse(text)
			if err != nil {
				return err
			}
			list = append(list, e)
		}
		*field(o) = list
		return nil
	})
}

var number = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)

// parseFields reads "VALUE,name=value,…" into a struct: the fields by their
// names in files, and the first one without a name as the field first.
func parseFields(text, first string, into any) error {
	fields := map[string]json.RawMessage{}
	for i, part := range strings.Split(text, ",") {
		name, value, named := strings.Cut(part, "=")
		if !named {
			if i > 0 {
				return fmt.Errorf("%q: found %q; allowed: name=value", text, part)
			}
			name, value = first, part
		}
		raw := quote(value)
		if number.MatchString(value) || value == "true" || value == "false" {
			raw = value
		}
		fields[strings.ReplaceAll(name, "-", "_")] = json.RawMessage(raw)
	}
	file, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	if err := strictyaml.Decode(text, file, into); err != nil {
		if content, ok := err.(*strictyaml.Error); ok {
			return fmt.Errorf("%q: %w", text, content.List())
		}
		return err
	}
	return nil
}

func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%q is no prefix; allowed: 203.0.113.0/24, 203.0.113.7, 2001:db8::/32", text)
	}
	return p, nil
}

func parsePorts(text string) (resource.PortRange, error) {
	from, to, ranged := strings.Cut(text, "-")
	if !ranged {
		to = from
	}
	low, err1 := strconv.ParseUint(from, 10, 16)
	high, err2 := strconv.ParseUint(to, 10, 16)
	if err1 != nil || err2 != nil {
		return resource.PortRange{}, problem.List{problem.New("ports", text, "a port, or two with a dash between: 500, 5000-5010")}
	}
	return resource.PortRange{From: uint16(low), To: uint16(high)}, nil
}

func cutComma(text string) (head, tail string, found bool) { return strings.Cut(text, ",") }

func percentText(n int) string { return strconv.Itoa(n) + "%" }
