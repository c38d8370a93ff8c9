package service

import (
	"strings"

	"causeway/internal/resource"
)

// What is kept where:
//
//	serial                         touched by every mutation of resources
//	r/<kind>/<name>                the resource, JSON
//	id/<id>                        <kind>/<name>
//	below/<kind>/<name>/<kind>/<name>  the second hangs on the first; the value is the note
//	given/label                    the last overlay label given out
//	token/<caller>/<token>         an idempotency token and its sealed answer
//	audit/<instant>-<random>       a change that was made; the newest first
//	domain/<domain>                what an endpoint's domain stands for
//	pop/<agent>                    what an agent reported last: a PoP's name, or gateway/ and a VPN gateway's
const (
	serialKey  = "serial"
	labelKey   = "given/label"
	resources  = "r/"
	tokens     = "token/"
	audits     = "audit/"
	domainDocs = "domain/"
	popDocs    = "pop/"
)

func resourceKey(r resource.Ref) string { return resources + string(r.Kind) + "/" + r.Name }
func kindPrefix(k resource.Kind) string { return resources + string(k) + "/" }
func idKey(id string) string            { return "id/" + strings.ToLower(id) }
func belowPrefix(r resource.Ref) string { return "below/" + string(r.Kind) + "/" + r.Name + "/" }
func belowKey(above, below resource.Ref) string {
	return belowPrefix(above) + string(below.Kind) + "/" + below.Name
}
func tokenKey(caller, token string) string { return tokens + caller + "/" + token }
func domainKey(domain string) string       { return domainDocs + domain }
func popKey(name string) string            { return popDocs + name }
