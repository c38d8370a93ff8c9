// Package resolver looks up the addresses of endpoints' domains, with the time
// they may be kept, from the name servers of this machine.
package resolver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

const (
	perServer = 3 * time.Second // for one name server's answer
	longest   = time.Hour       // that an answer is kept, whatever its records say
	aliases   = 8               // CNAMEs followed within one answer
)

// Resolver asks the name servers of a resolv.conf file, read anew for each
// question, so that changes of the machine are followed.
type Resolver struct {
	file string
	port string // of name servers, where it is not the usual one
}

// System returns the resolver of this machine.
func System() Resolver { return Resolver{file: "/etc/resolv.conf"} }

// Resolve returns a domain's IPv4 and IPv6 addresses, in the order of addresses,
// and how long they may be kept: as long as the shortest-lived record on the way
// to them. An answer that there is no such name, or that it has no addresses, is
// an answer; no answer is an error.
func (r Resolver) Resolve(ctx context.Context, domain string) (addresses []netip.Addr, ttl time.Duration, err error) {
	config, err := dns.ClientConfigFromFile(r.file)
	if err != nil {
		return nil, 0, fmt.Errorf("look up %s: %w", domain, err)
	}
	config.Port = cmp.Or(r.port, config.Port)
	ttl = longest
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		found, kept, err := ask(ctx, config, dns.Fqdn(domain), kind)
		if err != nil {
			return nil, 0, fmt.Errorf("look up %s: %w", domain, err)
		}
		addresses, ttl = append(addresses, found...), min(ttl, kept)
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	return slices.Compact(addresses), ttl, nil
}

// ask asks one name server after the other.
func ask(ctx context.Context, config *dns.ClientConfig, name string, kind uint16) ([]netip.Addr, time.Duration, error) {
	question := new(dns.Msg).SetQuestion(name, kind)
	question.SetEdns0(1232, false) // fits every path (RFC 9715)
	failures := []error{errors.New("no name server answers")}
	for _, server := range config.Servers {
		address := net.JoinHostPort(server, config.Port)
		answer, err := exchange(ctx, question, address)
		switch {
		case err != nil:
			failures = append(failures, err)
		case answer.Rcode == dns.RcodeSuccess, answer.Rcode == dns.RcodeNameError:
			addresses, ttl := read(answer, name, kind)
			return addresses, ttl, nil
		default:
			failures = append(failures, fmt.Errorf("%s says %s", address, dns.RcodeToString[answer.Rcode]))
		}
	}
	return nil, 0, errors.Join(failures...)
}

// exchange asks over UDP, and over TCP when the answer does not fit.
func exchange(ctx context.Context, question *dns.Msg, address string) (*dns.Msg, error) {
	answer, _, err := (&dns.Client{Timeout: perServer}).ExchangeContext(ctx, question, address)
	if err == nil && answer.Truncated {
		answer, _, err = (&dns.Client{Net: "tcp", Timeout: perServer}).ExchangeContext(ctx, question, address)
	}
	return answer, err
}

// read follows aliases from name to its addresses.
func read(answer *dns.Msg, name string, kind uint16) (addresses []netip.Addr, ttl time.Duration) {
	ttl = longest
	if answer.Rcode == dns.RcodeNameError || len(answer.Answer) == 0 {
		ttl = time.Minute // there is nothing that says it; ask again soon
	}
	for range aliases {
		next := ""
		for _, record := range answer.Answer {
			if !dns.IsSubDomain(record.Header().Name, name) || !dns.IsSubDomain(name, record.Header().Name) {
				continue // of another name
			}
			var a net.IP
			switch record := record.(type) {
			case *dns.A:
				a = record.A
			case *dns.AAAA:
				a = record.AAAA
			case *dns.CNAME:
				next = record.Target
			}
			if record.Header().Rrtype == kind || next != "" {
				ttl = min(ttl, time.Duration(record.Header().Ttl)*time.Second)
			}
			if address, ok := netip.AddrFromSlice(a); ok && record.Header().Rrtype == kind {
				addresses = append(addresses, address.Unmap())
			}
		}
		if next == "" {
			return addresses, ttl
		}
		name = next
	}
	return addresses, ttl
}
