package vpn

import "time"

// Code names what is wrong with a connection: FailedReasonCode of the compatible
// API, and a few of our own for what only an accelerator can see.
type Code string

// The codes that Alibaba Cloud's DiagnoseVpnConnections answers.
const (
	PeerMismatch                    Code = "PeerMismatch"
	AlgorithmMismatch               Code = "AlgorithmMismatch"
	EncryptionAlgorithmMismatch     Code = "EncryptionAlgorithmMismatch"
	AuthenticationAlgorithmMismatch Code = "AuthenticationAlgorithmMismatch"
	DhGroupMismatch                 Code = "DhGroupMismatch"
	PskMismatch                     Code = "PskMismatch"
	PeerIdMismatch                  Code = "PeerIdMismatch"
	DpdHashNotifyCompatibility      Code = "DpdHashNotifyCompatibility"
	DpdTimeout                      Code = "DpdTimeout"
	IkeVersionMismatch              Code = "IkeVersionMismatch"
	NegotiationModeMismatch         Code = "NegotiationModeMismatch"
	NatTMismatch                    Code = "NatTMismatch"
	LifetimeMismatch                Code = "LifetimeMismatch"
	SecurityProtocolMismatch        Code = "SecurityProtocolMismatch"
	EncapsulationModeMismatch       Code = "EncapsulationModeMismatch"
	AlgorithmCompatibility          Code = "AlgorithmCompatibility"
	TrafficSelectorMismatch         Code = "TrafficSelectorMismatch"
	PfsMismatch                     Code = "PfsMismatch"
	CommitMismatch                  Code = "CommitMismatch"
	ProposalMismatch                Code = "ProposalMismatch"
	NegotiationFailed               Code = "NegotiationFailed"
	Phase1NegotiationTimeout        Code = "Phase1NegotiationTimeout"
	Phase2NegotiationTimeout        Code = "Phase2NegotiationTimeout"
	NoResponse                      Code = "NoResponse"
	ReceiveDeleteNotify             Code = "ReceiveDeleteNotify"
	NoExceptionFound                Code = "NoExceptionFound"
)

// Codes of our own: what a PoP sees on the wire, what a lint finds in a
// configuration, and what the compatible API's table has no word for.
const (
	NatTMissing          Code = "NatTMissing"          // IKE is answered on UDP 500 and never moves to 4500: ESP will not cross an accelerator
	Port4500Blocked      Code = "Port4500Blocked"      // UDP 500 is answered, 4500 is not
	NoReturnTraffic      Code = "NoReturnTraffic"      // ESP goes one way only
	RekeyCollision       Code = "RekeyCollision"       // both ends renew at the same time, again and again
	ReplayWindowTooSmall Code = "ReplayWindowTooSmall" // packets arrive further out of order than the peer's window bears
	FragmentsLost        Code = "FragmentsLost"        // large IKE messages are sent again and again, small ones answered
	PathMTUTooSmall      Code = "PathMtuTooSmall"      // full-sized packets do not arrive, small ones do
	CertificateInvalid   Code = "CertificateInvalid"
	PublicNetwork        Code = "PublicNetwork" // a network treated as private lies outside RFC 1918, RFC 6598 and RFC 4193
	OverlappingNetworks  Code = "OverlappingNetworks"
	WeakAlgorithm        Code = "WeakAlgorithm"
	HalfOpenLimit        Code = "HalfOpenLimit"     // the endpoint refuses new negotiations for the sake of too many half-open ones
	DaemonUnreachable    Code = "DaemonUnreachable" // charon does not answer
	PathLoss             Code = "PathLoss"          // packets are lost on a stretch of the way; which one stands in Text
)

// Severity orders findings.
type Severity string

const (
	Critical Severity = "Critical" // the connection cannot come up, or carries nothing
	Warn     Severity = "Warn"
	Normal   Severity = "Normal"
)

// Finding is one conclusion, with what it was drawn from and what to do.
type Finding struct {
	Code       Code      `json:"code"`
	Severity   Severity  `json:"severity"`
	Connection string    `json:"connection,omitempty"`
	Tunnel     string    `json:"tunnel,omitempty"`
	Field      string    `json:"field,omitempty"`           // of the configuration, as a path, where one is to blame
	At         time.Time `json:"at,omitzero"`               // of what it was concluded from; zero for lints
	Text       string    `json:"text"`                      // what is wrong, in a sentence
	Fix        string    `json:"fix"`                       // what to do
	Source     string    `json:"source,omitempty"`          // the log line or the packet, without secrets
	Local      string    `json:"mismatch_local,omitempty"`  // this end's value of what does not match
	Remote     string    `json:"mismatch_remote,omitempty"` // the other end's
}
