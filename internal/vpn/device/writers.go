package device

import (
	"regexp"
	"strconv"

	"causeway/internal/vpn"
)

// writers are all devices, in the order they are shown. What the makers' words
// are was taken from their command references; the two open daemons are run in
// this package's tests.
var writers = []writer{
	{
		Device: Device{Name: "strongswan", Title: "strongSwan (swanctl)", Aliases: []string{"swanctl", "charon"}, Tested: "strongSwan 5.9.8"},
		files: []page{{"/etc/swanctl/conf.d/%s.conf", "strongswan-swanctl.tmpl", true}, {"/etc/swanctl/%s-interfaces.sh", "strongswan-routes.tmpl", false},
			{"/etc/nftables.d/%s.nft", "strongswan-nft.tmpl", false}},
		quote: double,
		can: abilities{ikeCipher: same(vpn.Ciphers), espCipher: same(vpn.Ciphers), ikeHash: same(vpn.Hashes), espHash: same(vpn.Hashes), groups: groups("", 31, 21, 20, 19, 18, 17, 16, 15, 14, 5, 2, 1),
			versions: []int{2, 1}, certificates: true, policy: true, route: true, two: true, ipv6: true, domains: true, anyPeer: true,
			files: map[string]string{"certificate": "/etc/swanctl/x509/%s.pem", "key": "/etc/swanctl/private/%s.pem", "ca": "/etc/swanctl/x509ca/%s-ca.pem"}},
		notes: []string{"Load it with: swanctl --load-all", "Two tunnels for the same networks: the second is loaded and not started, because two policies for the same packets exclude one another; start it when the first is dead (swanctl --initiate), or set routing: route. causeway gateway does that by itself."},
	},
	{
		Device: Device{Name: "libreswan", Title: "libreswan", Aliases: []string{"pluto", "openswan"}, Tested: "libreswan 4.10"},
		files:  []page{{"/etc/ipsec.d/%s.conf", "libreswan-conf.tmpl", false}, {"/etc/ipsec.d/%s.secrets", "libreswan-secrets.tmpl", true}, {"/etc/ipsec.d/%s-import.sh", "libreswan-import.tmpl", false}},
		quote:  plainDouble,
		can: abilities{ikeCipher: same(vpn.Ciphers, "des", "chacha20poly1305"), espCipher: same(vpn.Ciphers, "des"), ikeHash: same(vpn.Hashes, "md5"), espHash: same(vpn.Hashes, "md5"), groups: groups("", 31, 21, 20, 19, 18, 17, 16, 15, 14, 5),
			versions: []int{2, 1}, certificates: true, policy: true, route: true, two: true, ipv6: true, domains: true, anyPeer: true,
			files: map[string]string{"certificate": "/etc/ipsec.d/%s.pem", "key": "/etc/ipsec.d/%s.key", "ca": "/etc/ipsec.d/%s-ca.pem"}},
		notes: []string{"Certificates live in the NSS database: the script that comes with them puts them there.", "IKEv1 is refused by libreswan unless /etc/ipsec.conf says so: config setup, ikev1-policy=accept."},
		extra: onePRF,
	},
	{
		Device: Device{Name: "cisco-ios-xe", Title: "Cisco IOS XE", Aliases: []string{"ios-xe", "iosxe", "csr1000v", "catalyst8000"}, Tested: syntaxOnly},
		files:  []page{{"%s.cisco-ios-xe.txt", "cisco-ios.tmpl", true}},
		can:    cisco([]int{14, 15, 16, 19, 20, 21, 5, 2, 1}), notes: ciscoNotes, extra: ciscoIKEv1,
	},
	{
		Device: Device{Name: "cisco-ios", Title: "Cisco IOS", Aliases: []string{"cisco", "ios", "isr"}, Tested: syntaxOnly},
		files:  []page{{"%s.cisco-ios.txt", "cisco-ios.tmpl", true}},
		can:    byRoute(cisco([]int{14, 15, 16, 19, 20, 21, 5, 2, 1})), notes: append([]string{"NAT traversal is on by itself and goes by detection: through an accelerator both ends detect a NAT."}, ciscoNotes...), extra: ciscoIKEv1,
	},
	{
		Device: Device{Name: "cisco-asa", Title: "Cisco ASA (9.8 or newer)", Aliases: []string{"asa", "asav", "firepower"}, Tested: syntaxOnly},
		files:  []page{{"%s.cisco-asa.txt", "cisco-asa.tmpl", true}},
		can: abilities{
			ikeCipher: words("aes256gcm16", "aes-gcm-256", "aes128gcm16", "aes-gcm", "aes256", "aes-256", "aes192", "aes-192", "aes128", "aes", "3des", "3des"),
			espCipher: words("aes256gcm16", "aes-gcm-256", "aes128gcm16", "aes-gcm", "aes256", "aes-256", "aes192", "aes-192", "aes128", "aes", "3des", "3des"),
			ikeHash:   words("sha512", "sha512", "sha384", "sha384", "sha256", "sha256", "sha1", "sha", "md5", "md5"),
			espHash:   words("sha512", "sha-512", "sha384", "sha-384", "sha256", "sha-256", "sha1", "sha-1", "md5", "md5"),
			groups:    groups("", 14, 15, 16, 19, 20, 21, 5, 2), versions: []int{2, 1}, key: lineKey, keyRule: lineRule, ids: []vpn.IDKind{vpn.IDAddress, vpn.IDDomain},
			policy: true, route: true, two: true, twoByRoute: true, proposals: 1, networks: 0, window: []int{64, 128, 256, 512, 1024}, espLife: [2]int{120, 214783647}, ikeLife: [2]int{120, 2147483647}},
		notes: []string{"If NAT is configured for the local networks, exempt the tunnel's traffic from it.", "<WAN> and <LAN> are the names (nameif) of interfaces."},
		extra: extraASA,
	},
	{
		Device: Device{Name: "juniper-srx", Title: "Juniper SRX", Aliases: []string{"juniper", "srx", "junos"}, Tested: syntaxOnly},
		files:  []page{{"%s.juniper-srx.txt", "juniper-srx.tmpl", true}}, quote: plainDouble,
		can: abilities{
			ikeCipher: words("aes256gcm16", "aes-256-gcm", "aes128gcm16", "aes-128-gcm", "aes256", "aes-256-cbc", "aes192", "aes-192-cbc", "aes128", "aes-128-cbc", "3des", "3des-cbc", "des", "des-cbc"),
			espCipher: words("aes256gcm16", "aes-256-gcm", "aes128gcm16", "aes-128-gcm", "aes256", "aes-256-cbc", "aes192", "aes-192-cbc", "aes128", "aes-128-cbc", "3des", "3des-cbc", "des", "des-cbc"),
			ikeHash:   words("sha512", "sha-512", "sha384", "sha-384", "sha256", "sha-256", "sha1", "sha1", "md5", "md5"),
			espHash:   words("sha512", "hmac-sha-512", "sha384", "hmac-sha-384", "sha256", "hmac-sha-256-128", "sha1", "hmac-sha1-96", "md5", "hmac-md5-96"),
			groups:    groups("group", 14, 15, 16, 19, 20, 21, 5, 2, 1), versions: []int{2, 1}, key: quotedKey, keyRule: quotedRule, ids: plainIDs,
			certificates: true, policy: true, route: true, two: true, domains: true, proposals: 1, name: 31, window: []int{64, 128, 256, 512, 1024, 2048}, ikeLife: [2]int{180, 86400}, espLife: [2]int{180, 86400}, noForcedUDP: true},
		notes: []string{"Zone vpn needs policies to and from the zone of the local networks, and <WAN> has to be in zone untrust; change the names if yours differ."},
		extra: onePRF,
	},
	{
		Device: Device{Name: "fortigate", Title: "Fortinet FortiGate", Aliases: []string{"fortinet", "fortios"}, Tested: syntaxOnly},
		files:  []page{{"%s.fortigate.txt", "fortigate.tmpl", true}}, quote: plainDouble,
		can: abilities{
			ikeCipher: words("aes256gcm16", "aes256gcm", "aes128gcm16", "aes128gcm", "chacha20poly1305", "chacha20poly1305", "aes256", "aes256", "aes192", "aes192", "aes128", "aes128", "3des", "3des", "des", "des"),
			espCipher: words("aes256gcm16", "aes256gcm", "aes128gcm16", "aes128gcm", "chacha20poly1305", "chacha20poly1305", "aes256", "aes256", "aes192", "aes192", "aes128", "aes128", "3des", "3des", "des", "des"),
			ikeHash:   same(vpn.Hashes), espHash: same(vpn.Hashes), groups: groups("", 31, 21, 20, 19, 18, 17, 16, 15, 14, 5, 2, 1), versions: []int{2, 1},
			key: regexp.MustCompile(`^[!$-&(->@-\[\]-_a-~]{6,100}$`), keyRule: "6–100 characters, none of them a space, quotes, \\, ? or #", ids: plainIDs,
			certificates: true, policy: true, route: true, two: true, domains: true, proposals: 1, name: 13, ikeLife: [2]int{120, 172800}, espLife: [2]int{120, 172800}},
		notes: []string{"Policies are written for all addresses: narrow them to the networks.", "FortiOS keeps a replay window of its own (set replay enable); it cannot be told a size on every model."},
		extra: onePRF,
	},
	{
		Device: Device{Name: "paloalto", Title: "Palo Alto Networks PAN-OS", Aliases: []string{"pan", "panos", "palo-alto"}, Tested: syntaxOnly},
		files:  []page{{"%s.paloalto.txt", "paloalto.tmpl", true}}, quote: plainDouble,
		can: abilities{
			ikeCipher: words("aes256gcm16", "aes-256-gcm", "aes128gcm16", "aes-128-gcm", "aes256", "aes-256-cbc", "aes192", "aes-192-cbc", "aes128", "aes-128-cbc", "3des", "3des", "des", "des"),
			espCipher: words("aes256gcm16", "aes-256-gcm", "aes128gcm16", "aes-128-gcm", "aes256", "aes-256-cbc", "aes192", "aes-192-cbc", "aes128", "aes-128-cbc", "3des", "3des", "des", "des"),
			ikeHash:   same(vpn.Hashes), espHash: same(vpn.Hashes), groups: groups("group", 14, 15, 16, 19, 20, 21, 5, 2, 1), versions: []int{2, 1},
			key: quotedKey, keyRule: quotedRule, ids: plainIDs, certificates: true, policy: true, route: true, two: true, domains: true, proposals: 1, name: 31, networks: 10,
			window: []int{64, 128, 256, 512, 1024, 2048}, ikeLife: [2]int{180, 31536000}, espLife: [2]int{180, 31536000}},
		notes: []string{"The virtual router is taken to be default and the zone of the tunnels vpn: allow ike and ipsec-esp-udp from untrust to the firewall, and the networks between vpn and the local zone."},
		extra: onePRF,
	},
	{
		Device: Device{Name: "mikrotik", Title: "MikroTik RouterOS 7", Aliases: []string{"routeros"}, Tested: syntaxOnly},
		files:  []page{{"%s.mikrotik.rsc", "mikrotik.tmpl", true}}, quote: routeros,
		can: abilities{
			ikeCipher: words("aes256", "aes-256", "aes192", "aes-192", "aes128", "aes-128", "3des", "3des", "des", "des"),
			espCipher: words("aes256gcm16", "aes-256-gcm", "aes128gcm16", "aes-128-gcm", "chacha20poly1305", "chacha20poly1305", "aes256", "aes-256-cbc", "aes192", "aes-192-cbc", "aes128", "aes-128-cbc", "3des", "3des", "des", "des"),
			ikeHash:   words("sha512", "sha512", "sha384", "sha384", "sha256", "sha256", "sha1", "sha1", "md5", "md5"), espHash: words("sha512", "sha512", "sha256", "sha256", "sha1", "sha1", "md5", "md5"),
			groups:   map[int]string{31: "x25519", 21: "ecp521", 20: "ecp384", 19: "ecp256", 18: "modp8192", 17: "modp6144", 16: "modp4096", 15: "modp3072", 14: "modp2048", 5: "modp1536", 2: "modp1024", 1: "modp768"},
			versions: []int{2, 1}, ids: plainIDs, certificates: true, policy: true, two: true, domains: true, proposals: 1, noForcedUDP: true},
		notes: []string{"Two tunnels: the policy names both peers, and RouterOS takes the first that is up.", "Fasttrack rules must not see the tunnel's traffic: put an exception before them."},
	},
	{
		Device: Device{Name: "vyos", Title: "VyOS 1.4", Aliases: []string{"vyatta"}, Tested: syntaxOnly},
		files:  []page{{"%s.vyos.txt", "vyos.tmpl", true}}, quote: plainSingle,
		can: abilities{
			ikeCipher: words("aes256gcm16", "aes256gcm128", "aes128gcm16", "aes128gcm128", "chacha20poly1305", "chacha20poly1305", "aes256", "aes256", "aes192", "aes192", "aes128", "aes128", "3des", "3des", "des", "des"),
			espCipher: words("aes256gcm16", "aes256gcm128", "aes128gcm16", "aes128gcm128", "chacha20poly1305", "chacha20poly1305", "aes256", "aes256", "aes192", "aes192", "aes128", "aes128", "3des", "3des", "des", "des"),
			ikeHash:   same(vpn.Hashes), espHash: same(vpn.Hashes), groups: groups("", 31, 21, 20, 19, 18, 17, 16, 15, 14, 5, 2, 1), versions: []int{2, 1},
			key: quotedKey, keyRule: quotedRule, ids: plainIDs, certificates: true, policy: true, route: true, two: true, twoByRoute: true, ipv6: true, domains: true, anyPeer: true},
	},
	{
		Device: Device{Name: "pfsense", Title: "pfSense 2.7", Aliases: []string{"netgate"}, Tested: syntaxOnly},
		files:  []page{{"%s.pfsense.xml", "pfsense.tmpl", true}},
		can: abilities{
			ikeCipher: words("aes256gcm16", "aes256gcm", "aes128gcm16", "aes128gcm", "chacha20poly1305", "chacha20poly1305", "aes256", "aes", "aes192", "aes", "aes128", "aes"),
			espCipher: words("aes256gcm16", "aes256gcm", "aes128gcm16", "aes128gcm", "chacha20poly1305", "chacha20poly1305", "aes256", "aes", "aes192", "aes", "aes128", "aes"),
			ikeHash:   words("sha512", "sha512", "sha384", "sha384", "sha256", "sha256", "sha1", "sha1"), espHash: words("sha512", "sha512", "sha384", "sha384", "sha256", "sha256", "sha1", "sha1"),
			groups: groups("", 31, 21, 20, 19, 18, 17, 16, 15, 14, 5, 2, 1), versions: []int{2, 1}, ids: plainIDs, policy: true, route: true, two: true, twoByRoute: true, domains: true},
		notes: []string{"Restoring the IPsec area replaces every tunnel that is there: when there are others, enter the values by hand instead.", "System, Advanced, Firewall & NAT: set Maximum MSS on VPN traffic to the value of the generic sheet.", "In the file <WAN> is the name that pfSense has for it: wan, opt1 …"},
		extra: extraPfSense,
	},
	{
		Device: Device{Name: "opnsense", Title: "OPNsense 23.1 or newer", Tested: syntaxOnly},
		files:  []page{{"%s.opnsense.txt", "opnsense.tmpl", true}},
		can: abilities{ikeCipher: same(vpn.Ciphers, "3des", "des"), espCipher: same(vpn.Ciphers, "3des", "des"), ikeHash: same(vpn.Hashes, "md5"), espHash: same(vpn.Hashes, "md5"), groups: groups("", 31, 21, 20, 19, 18, 17, 16, 15, 14, 5, 2),
			versions: []int{2, 1}, ids: plainIDs, certificates: true, policy: true, route: true, two: true, twoByRoute: true, ipv6: true, domains: true, anyPeer: true},
	},
	{
		Device: Device{Name: "huawei", Title: "Huawei USG and AR", Aliases: []string{"usg", "vrp"}, Tested: syntaxOnly},
		files:  []page{{"%s.huawei.txt", "huawei.tmpl", true}},
		can: abilities{
			ikeCipher: words("aes256", "aes-256", "aes192", "aes-192", "aes128", "aes-128", "3des", "3des", "des", "des"),
			espCipher: words("aes256gcm16", "aes-256-gcm-128", "aes128gcm16", "aes-128-gcm-128", "aes256", "aes-256", "aes192", "aes-192", "aes128", "aes-128", "3des", "3des", "des", "des"),
			ikeHash:   words("sha512", "sha2-512", "sha384", "sha2-384", "sha256", "sha2-256", "sha1", "sha1", "md5", "md5"), espHash: words("sha512", "sha2-512", "sha384", "sha2-384", "sha256", "sha2-256", "sha1", "sha1", "md5", "md5"),
			groups: groups("group", 14, 15, 16, 19, 20, 21, 5, 2, 1), versions: []int{2, 1}, key: lineKey, keyRule: lineRule, ids: plainIDs,
			policy: true, route: true, two: true, twoByRoute: true, proposals: 1, name: 15, window: []int{32, 64, 128, 256, 512, 1024}, ikeLife: [2]int{60, 604800}, espLife: [2]int{30, 604800}, noForcedUDP: true},
		notes: []string{"Two tunnels with policies: the second is taken when the first's peer is dead; both need ACLs that do not overlap with other policies.", "Allow UDP 500 and 4500 to the device itself (zone local)."},
	},
	{
		Device: Device{Name: "h3c", Title: "H3C Comware 7", Aliases: []string{"comware"}, Tested: syntaxOnly},
		files:  []page{{"%s.h3c.txt", "h3c.tmpl", true}},
		can: abilities{
			ikeCipher: words("aes256", "aes-cbc-256", "aes192", "aes-cbc-192", "aes128", "aes-cbc-128", "3des", "3des-cbc", "des", "des-cbc"),
			espCipher: words("aes256gcm16", "gcm-256", "aes128gcm16", "gcm-128", "aes256", "aes-cbc-256", "aes192", "aes-cbc-192", "aes128", "aes-cbc-128", "3des", "3des-cbc", "des", "des-cbc"),
			ikeHash:   words("sha512", "sha512", "sha384", "sha384", "sha256", "sha256", "sha1", "sha1", "md5", "md5"), espHash: words("sha512", "sha512", "sha384", "sha384", "sha256", "sha256", "sha1", "sha1", "md5", "md5"),
			groups: groups("group", 14, 19, 20, 5, 2, 1), versions: []int{2, 1}, key: lineKey, keyRule: lineRule, ids: plainIDs,
			policy: true, route: true, two: true, twoByRoute: true, proposals: 1, window: []int{64, 128, 256, 512, 1024}, ikeLife: [2]int{120, 604800}, espLife: [2]int{180, 604800}, noForcedUDP: true},
		notes: []string{"IPsec traffic must not meet NAT on <WAN>: deny it in the ACL of nat outbound."},
		extra: extraH3C,
	},
	{
		Device: Device{Name: "yamaha-rtx", Title: "Yamaha RTX", Aliases: []string{"yamaha", "rtx", "rtx1210", "rtx1300"}, Tested: syntaxOnly},
		files:  []page{{"%s.yamaha-rtx.txt", "yamaha-rtx.tmpl", true}}, quote: plainDouble,
		can: abilities{
			ikeCipher: words("aes256", "aes256-cbc", "aes128", "aes-cbc", "3des", "3des-cbc", "des", "des-cbc"), espCipher: words("aes256", "aes256-cbc", "aes128", "aes-cbc", "3des", "3des-cbc", "des", "des-cbc"),
			ikeHash: words("sha256", "sha256", "sha1", "sha", "md5", "md5"), espHash: words("sha256", "sha256-hmac", "sha1", "sha-hmac", "md5", "md5-hmac"),
			groups: map[int]string{14: "modp2048", 5: "modp1536", 2: "modp1024", 1: "modp768"}, versions: []int{2, 1}, key: quotedKey, keyRule: quotedRule, ids: plainIDs,
			policy: true, route: true, two: true, domains: true, anyPeer: true, proposals: 1, networks: 1, ikeLife: [2]int{300, 691200}, espLife: [2]int{300, 691200}, noForcedUDP: true},
		notes: []string{"If NAT (nat descriptor) runs on the WAN, let UDP 500 and 4500 through to the router: nat descriptor masquerade static 1 1 <router> udp 500, and the same for 4500.", "Not every model has group modp2048 and IKEv2: see its command reference."},
		extra: onePRF,
	},
	{
		Device: Device{Name: "aws", Title: "AWS Site-to-Site VPN (commands)", Aliases: []string{"amazon", "aws-cli", "vgw", "tgw"}, Tested: syntaxOnly},
		files:  []page{{"%s.aws.sh", "aws.tmpl", true}}, quote: shell,
		can: abilities{ikeCipher: awsCipher, espCipher: awsCipher, ikeHash: awsHash, espHash: awsHash, groups: groups("", 14, 15, 16, 17, 18, 19, 20, 21, 2), versions: []int{2, 1},
			key: regexp.MustCompile(`^[A-Za-z1-9._][A-Za-z0-9._]{7,63}$`), keyRule: "8–64 letters, digits, dots and underscores, not beginning with 0", ids: plainIDs,
			policy: true, route: true, two: true, ikeLife: [2]int{900, 28800}, espLife: [2]int{900, 3600}},
		notes: []string{"Switch on route propagation for the route tables of the VPC: aws ec2 enable-vgw-route-propagation.", "The pre-shared keys stand in this file: it is a secret, and so is the shell's history."},
		extra: extraAWS,
	},
	{
		Device: Device{Name: "alibaba", Title: "Alibaba Cloud VPN Gateway (commands)", Aliases: []string{"aliyun", "alicloud"}, Tested: syntaxOnly},
		files:  []page{{"%s.alibaba.sh", "alibaba.tmpl", true}}, quote: shell,
		can: abilities{ikeCipher: alibabaCipher, espCipher: alibabaCipher, ikeHash: alibabaHash, espHash: alibabaHash, groups: alibabaGroup, versions: []int{2, 1},
			key: regexp.MustCompile(`^[!#-\[\]-~]{1,100}$`), keyRule: `1–100 characters, none of them a space, " or \`, ids: plainIDs,
			policy: true, route: true, two: true, proposals: 1, networks: 5, espLife: [2]int{1, 86400}, ikeLife: [2]int{1, 86400}},
		notes: []string{"Publish the route of the connection to the route table of the VPC.", "The pre-shared keys stand in this file: it is a secret, and so is the shell's history."},
		extra: extraAlibaba,
	},
	{
		Device: Device{Name: "generic", Title: "Anything else: a sheet of values", Aliases: []string{"sheet", "other"}, Tested: "for people to read"},
		files:  []page{{"%s.txt", "generic.tmpl", true}},
		can: abilities{ikeCipher: same(vpn.Ciphers), espCipher: same(vpn.Ciphers), ikeHash: same(vpn.Hashes), espHash: same(vpn.Hashes), groups: groups("", 31, 21, 20, 19, 18, 17, 16, 15, 14, 5, 2, 1),
			versions: []int{2, 1}, certificates: true, policy: true, route: true, two: true, ipv6: true, domains: true, anyPeer: true},
	},
}

const syntaxOnly = "written by the maker's command reference, not run on a device"

var (
	// lineKey is for devices whose keys end at the first space and whose command
	// lines know ?, quotes and !.
	lineKey   = regexp.MustCompile(`^[#$%&()*+,./0-9:;<=>@A-Z\[\]^_a-z{|}~-]{1,100}$`)
	lineRule  = "1–100 letters, digits and punctuation, but no space, quotes, \\, ? or !"
	quotedKey = regexp.MustCompile(`^[#%()*+,./0-9:;=@A-Z\[\]^_a-z{|}~!-]{1,100}$`)
	// quotedKey is for devices that put keys into quotes and know no way to write
	// a quote inside.
	quotedRule = "1–100 letters, digits and punctuation, but no space, quotes, \\, ?, $, &, < or >"
	plainIDs   = []vpn.IDKind{vpn.IDAddress, vpn.IDDomain, vpn.IDMail}
	ciscoNotes = []string{"Exempt the tunnel's traffic from NAT, if there is any.", "<WAN> and <LAN> are interfaces: give them with --wan and --lan, or replace them in the text."}
)

func cisco(numbers []int) abilities {
	return abilities{
		ikeCipher: words("aes256gcm16", "aes-gcm-256", "aes128gcm16", "aes-gcm-128", "aes256", "aes-cbc-256", "aes192", "aes-cbc-192", "aes128", "aes-cbc-128", "3des", "3des", "des", "des"),
		espCipher: words("aes256gcm16", "esp-gcm 256", "aes128gcm16", "esp-gcm 128", "aes256", "esp-aes 256", "aes192", "esp-aes 192", "aes128", "esp-aes", "3des", "esp-3des", "des", "esp-des"),
		ikeHash:   words("sha512", "sha512", "sha384", "sha384", "sha256", "sha256", "sha1", "sha1", "md5", "md5"),
		espHash:   words("sha512", "esp-sha512-hmac", "sha384", "esp-sha384-hmac", "sha256", "esp-sha256-hmac", "sha1", "esp-sha-hmac", "md5", "esp-md5-hmac"),
		groups:    groups("", numbers...), versions: []int{2, 1}, key: lineKey, keyRule: lineRule, ids: plainIDs,
		certificates: true, policy: true, route: true, two: true, proposals: 1, window: []int{64, 128, 256, 512, 1024}, ikeLife: [2]int{120, 86400}, espLife: [2]int{120, 86400},
	}
}

// byRoute is a that takes two tunnels with routes only.
func byRoute(a abilities) abilities {
	a.twoByRoute = true
	return a
}

// same maps each name to itself, but for those without.
func same(all []vpn.Algorithm, without ...string) map[string]string {
	m := map[string]string{}
	for _, a := range all {
		m[a.Name] = a.Name
	}
	for _, w := range without {
		delete(m, w)
	}
	return m
}

// words maps the first of each two to the second.
func words(two ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(two); i += 2 {
		m[two[i]] = two[i+1]
	}
	return m
}

func groups(prefix string, numbers ...int) map[int]string {
	m := map[int]string{}
	for _, n := range numbers {
		m[n] = prefix + strconv.Itoa(n)
	}
	return m
}

// onePRF refuses a pseudo-random function of its own on devices that always take the hash.
func onePRF(w *writer, c vpn.Connection, j *judgement) {
	for i, t := range c.Tunnels {
		for k, p := range t.IKE.Proposals {
			if p.Integrity != "" && p.PRF != p.Integrity {
				j.refuse("tunnels["+strconv.Itoa(i)+"].ike.proposals["+strconv.Itoa(k)+"].prf", p.PRF, p.Integrity+": "+w.Title+" has one hash for both", "leave prf away at both ends")
			}
		}
	}
}

// ciscoIKEv1 refuses aggressive mode with names, which the template does not write.
func ciscoIKEv1(w *writer, c vpn.Connection, j *judgement) {
	needAddressIDs(w, c, j, "IKEv1")
	for i, t := range c.Tunnels {
		if t.IKE.Version == 1 && t.Auth.Method == vpn.Certificate {
			j.refuse("tunnels["+strconv.Itoa(i)+"].auth.method", "certificate", "psk with IKEv1: the template has certificates for IKEv2", "set ike.version: 2")
		}
		for k, p := range t.IKE.Proposals {
			if _, weak := map[int]bool{1: true, 2: true, 5: true}[p.DH]; weak && w.Name == "cisco-ios-xe" {
				j.warn("Newer releases of IOS XE refuse group %d of tunnels[%d].ike.proposals[%d].", p.DH, i, k)
			}
		}
	}
}

// needAddressIDs refuses IKEv1 with identities that are no addresses.
func needAddressIDs(w *writer, c vpn.Connection, j *judgement, why string) {
	for i, t := range c.Tunnels {
		for _, e := range []struct{ field, id string }{{"local", t.Local.ID}, {"remote", t.Remote.ID}} {
			if t.IKE.Version == 1 && vpn.IDKindOf(e.id) != vpn.IDAddress {
				j.refuse("tunnels["+strconv.Itoa(i)+"]."+e.field+".id", e.id, "an address with "+why+" on "+w.Title, "set ike.version: 2")
			}
		}
	}
}

func extraASA(w *writer, c vpn.Connection, j *judgement) {
	needAddressIDs(w, c, j, "IKEv1")
	for i, t := range c.Tunnels {
		path := "tunnels[" + strconv.Itoa(i) + "]."
		if p := t.ESP.Proposals[0]; t.IKE.Version == 1 && p.Integrity != "sha1" && p.Integrity != "md5" {
			j.refuse(path+"esp.proposals[0].integrity", p.Integrity, "sha1 or md5 with IKEv1 on "+w.Title, "set ike.version: 2")
		}
		if p := t.IKE.Proposals[0]; t.IKE.Version == 1 && p.Integrity != "sha1" && p.Integrity != "md5" {
			j.refuse(path+"ike.proposals[0].integrity", p.Integrity, "sha1 or md5 with IKEv1 on "+w.Title, "set ike.version: 2")
		}
		if vpn.IDKindOf(t.Local.ID) == vpn.IDDomain {
			j.warn("An ASA identifies itself by its host name: hostname and domain-name have to make %s, and all its tunnels then do so.", t.Local.ID)
		} else if a := t.Local.Address; a.IsValid() && a.String() != t.Local.ID {
			j.warn("An ASA identifies itself by the address of its interface (%s), not as %s: let the other end expect that.", a, t.Local.ID)
		}
	}
	if len(c.Tunnels) == 2 && c.Tunnels[0].Remote.Address == c.Tunnels[1].Remote.Address {
		j.refuse("tunnels[1].remote.address", c.Tunnels[1].Remote.Address.String(), "another address than tunnels[0]'s: an ASA knows its peers by address", "")
	}
}

func extraPfSense(w *writer, c vpn.Connection, j *judgement) {
	for i, t := range c.Tunnels {
		if t.ESP.Proposals[0].Encryption == "chacha20poly1305" && t.IKE.Version == 1 {
			j.refuse("tunnels["+strconv.Itoa(i)+"].esp.proposals[0].encryption", "chacha20poly1305", "a cipher of IKEv1", "")
		}
	}
	if c.Routing == vpn.RouteRouting {
		j.warn("A tunnel of mode VTI gets its own addresses in place of 0.0.0.0/0, and the routes are entered under System, Routing.")
	}
}

func extraH3C(w *writer, c vpn.Connection, j *judgement) {
	for i, t := range c.Tunnels {
		for k, p := range t.IKE.Proposals {
			if t.IKE.Version == 1 && p.PRF != p.Integrity {
				j.refuse("tunnels["+strconv.Itoa(i)+"].ike.proposals["+strconv.Itoa(k)+"].prf", p.PRF, p.Integrity, "leave prf away")
			}
		}
	}
}

func extraAlibaba(w *writer, c vpn.Connection, j *judgement) {
	onePRF(w, c, j)
	if c.Routing == vpn.RouteRouting {
		j.warn("Destination routing: both subnets are 0.0.0.0/0, and routes are made with CreateVpnRouteEntry.")
	}
	if len(c.Tunnels) == 2 && c.Tunnels[0].Remote.Address == c.Tunnels[1].Remote.Address {
		j.warn("A customer gateway's address is unique in a region: both tunnels use one, make CGW2 the same as CGW1.")
	}
	for i, t := range c.Tunnels {
		if t.Window != vpn.DefaultWindow {
			j.warn("Alibaba's replay window cannot be set (tunnels[%d].replay_window).", i)
		}
	}
}
