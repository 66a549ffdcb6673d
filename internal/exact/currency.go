package exact

import "strings"

// The currency codes of ISO 4217 by the number of digits behind the point. Those withdrawn since
// 2020 stay, because old invoices do; metals, test codes and bonds are no money of this trade.
const (
	noDigits    = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
	threeDigits = "BHD IQD JOD KWD LYD OMR TND"
	fourDigits  = "CLF UYW"
	twoDigits   = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD " +
		"CAD CDF CHE CHF CHW CNY COP COU CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP " +
		"GMD GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL " +
		"MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR " +
		"RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD " +
		"TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG ZWL"
)

var minorUnits = currencies(noDigits, "", twoDigits, threeDigits, fourDigits)

// currencies makes the table: the codes of the nth list have n digits.
func currencies(lists ...string) map[string]int32 {
	table := map[string]int32{}
	for digits, codes := range lists {
		for code := range strings.FieldsSeq(codes) {
			table[code] = int32(digits)
		}
	}
	return table
}

// MinorUnits is the number of digits behind the point in which a currency is paid: 2 for EUR, 0
// for JPY. An unknown code has none.
func MinorUnits(currency string) int32 { return minorUnits[currency] }
