// The functions that Kubernetes adds: each line is an expression that is true, or one that fails with its message. Facts of
// https://kubernetes.io/docs/reference/using-api/cel/ and of cel-go's tests of its extensions.
import { describe, expect, test } from 'vitest'
import { kubernetesLibraries } from '../../../src/api/cel/library/all.ts'
import { outcome } from '../../lib/cel/run.ts'

const holds: Readonly<Record<string, readonly string[]>> = {
  lists: [
    '[1, 2, 2].isSorted() && ![2, 1].isSorted() && [].isSorted() && ["a", "b"].isSorted() && [1.5, 2.0].isSorted()',
    "[1, 2, 3].sum() == 6 && [1.5, 2.5].sum() == 4.0 && [1u, 2u].sum() == 3u && [duration('1s'), duration('2s')].sum() == duration('3s')",
    '[].sum() == 0 && [3, 1, 2].min() == 1 && [3, 1, 2].max() == 3 && ["b", "a"].min() == "a"',
    "[1, 2, 2, 3].indexOf(2) == 1 && [1, 2, 2, 3].lastIndexOf(2) == 2 && ['a'].indexOf('z') == -1",
  ],
  regex: [
    "'abc 123'.find('[0-9]+') == '123' && 'abc'.find('[0-9]+') == ''",
    "'123 abc 456'.findAll('[0-9]+') == ['123', '456'] && '123 abc 456'.findAll('[0-9]+', 1) == ['123']",
    "'123'.findAll('[a-z]') == [] && '12'.findAll('[0-9]', 0) == [] && '12'.findAll('[0-9]', -1) == ['1', '2']",
  ],
  url: [
    "isURL('https://user:pass@example.com:80/path?query=val#fragment') && isURL('/absolute-path') && isURL('mailto:a@b.c')",
    "!isURL('../relative') && !isURL('https://a:b:c/') && !isURL('') && !isURL('not a url') && !isURL('https://a b/')",
    "url('https://user:pass@example.com:80/').getHost() == 'example.com:80' && url('https://example.com:80/').getHostname() == 'example.com'",
    "url('https://[::1]:80/').getHostname() == '::1' && url('https://[::1]:80/').getPort() == '80' && url('/path').getHost() == ''",
    "url('https://example.com/path with spaces/').getEscapedPath() == '/path%20with%20spaces/'",
    "url('https://example.com/path?k=a&k=b&l=%20c').getQuery() == {'k': ['a', 'b'], 'l': [' c']}",
    "url('https://example.com').getScheme() == 'https' && url('HTTPS://example.com').getScheme() == 'https' && url('/p').getScheme() == ''",
    "url('https://example.com/') == url('https://example.com/') && url('https://a/') != url('https://b/')",
  ],
  'ip and cidr': [
    "isIP('127.0.0.1') && isIP('::1') && !isIP('127.0.0.256') && !isIP('::ffff:1.2.3.4') && !isIP('fe80::1%eth0') && !isIP('01.2.3.4')",
    "ip('127.0.0.1') == ip('127.0.0.1') && ip('::1') == ip('0:0:0:0:0:0:0:1') && string(ip('2001:DB8::0001')) == '2001:db8::1'",
    "ip.isCanonical('127.0.0.1') && ip.isCanonical('2001:db8::abcd') && !ip.isCanonical('2001:DB8::ABCD')",
    "ip('127.0.0.1').family() == 4 && ip('::1').family() == 6 && ip('0.0.0.0').isUnspecified() && ip('::').isUnspecified()",
    "ip('127.0.0.1').isLoopback() && ip('::1').isLoopback() && ip('224.0.0.1').isLinkLocalMulticast() && ip('ff02::1').isLinkLocalMulticast()",
    "ip('169.254.169.254').isLinkLocalUnicast() && ip('fe80::1').isLinkLocalUnicast() && ip('192.168.0.1').isGlobalUnicast()",
    "!ip('255.255.255.255').isGlobalUnicast() && !ip('ff00::1').isGlobalUnicast() && ip('fd80::1').isGlobalUnicast()",
    "isCIDR('192.168.0.0/16') && isCIDR('::1/128') && !isCIDR('192.168.0.0/33') && !isCIDR('192.168.0.0') && !isCIDR('::ffff:1.2.3.4/112')",
    "cidr('192.168.0.0/24').containsIP(ip('192.168.0.1')) && !cidr('192.168.0.0/24').containsIP('192.168.1.1')",
    "cidr('192.168.0.0/16').containsCIDR('192.168.10.0/24') && !cidr('192.168.0.0/24').containsCIDR(cidr('192.168.0.0/23'))",
    "cidr('192.168.0.1/24').ip() == ip('192.168.0.1') && cidr('192.168.0.1/24').masked() == cidr('192.168.0.0/24')",
    "cidr('192.168.0.0/24').prefixLength() == 24 && string(cidr('192.168.0.0/24')) == '192.168.0.0/24'",
    "string(ip('1:0:0:2:0:0:0:3')) == '1:0:0:2::3' && string(ip('::1.2.3.5')) == '::102:305'",
  ],
  quantity: [
    "isQuantity('1.3G') && isQuantity('1.3Gi') && isQuantity('10000k') && !isQuantity('200K') && !isQuantity('Three') && !isQuantity('')",
    "quantity('150Mi').isGreaterThan(quantity('100Mi')) && quantity('50M').isLessThan(quantity('100M')) && quantity('1000m') == quantity('1')",
    "quantity('200M').compareTo(quantity('0.2G')) == 0 && quantity('50k').compareTo(quantity('50M')) == -1",
    "quantity('50k').add(20) == quantity('50020') && quantity('50k').sub(quantity('20k')) == quantity('30k') && quantity('-5').sign() == -1",
    "quantity('50000000G').isInteger() && !quantity('9999999999999999999999999999999999999G').isInteger() && !quantity('50m').isInteger()",
    "quantity('50k').asInteger() == 50000 && quantity('50.703k').asApproximateFloat() == 50703.0",
  ],
  format: [
    "!format.dns1123Label().validate('my-label-name').hasValue() && format.dns1123Label().validate('Contains Caps').hasValue()",
    "!format.dns1123Subdomain().validate('apiextensions.k8s.io').hasValue() && !format.qualifiedName().validate('a.b/c').hasValue()",
    "!format.dns1123LabelPrefix().validate('my-prefix-').hasValue() && format.dns1035Label().validate('1a').hasValue()",
    "!format.uri().validate('http://example.com').hasValue() && format.uri().validate('::').hasValue()",
    "!format.uuid().validate('123e4567-e89b-12d3-a456-426614174000').hasValue() && format.uuid().validate('x').value() == ['does not match the UUID format']",
    "!format.byte().validate('aGVsbG8=').hasValue() && !format.date().validate('2021-01-01').hasValue() && format.date().validate('x').hasValue()",
    "!format.datetime().validate('2021-01-01T00:00:00Z').hasValue() && !format.labelValue().validate('').hasValue()",
    "format.named('dns1123Label').hasValue() && !format.named('nope').hasValue() && format.named('uuid').value() == format.uuid()",
  ],
  semver: [
    "isSemver('1.0.0') && !isSemver('1.0') && !isSemver('v1.0.0') && !isSemver('01.0.0') && isSemver('v1', true) && isSemver('01.0', true)",
    "semver('1.2.3').isLessThan(semver('1.10.0')) && semver('1.0.0-alpha.1') .isLessThan(semver('1.0.0')) && semver('1.0.0-rc.10').isGreaterThan(semver('1.0.0-rc.9'))",
    "semver('1.2.3').major() == 1 && semver('1.2.3').minor() == 2 && semver('1.2.3').patch() == 3 && semver('v1.2', true) == semver('1.2.0')",
    "semver('1.0.0+a').compareTo(semver('1.0.0+b')) == 0 && semver('1.0.0-1').compareTo(semver('1.0.0-a')) == -1",
  ],
  sets: [
    'sets.contains([1, 2, 3], [2, 1]) && !sets.contains([1], [2]) && sets.contains([], []) && sets.contains([dyn(1)], [dyn(1u)])',
    'sets.equivalent([1, 2, 2], [2, 1]) && !sets.equivalent([1, 2], [1]) && sets.intersects([1, 2], [2, 3]) && !sets.intersects([1], [])',
  ],
  strings: [
    "'tacocat'.charAt(3) == 'o' && 'tacocat'.charAt(7) == '' && '©αT'.charAt(1) == 'α'",
    "'tacocat'.indexOf('') == 0 && 'tacocat'.indexOf('ac') == 1 && 'tacocat'.indexOf('none') == -1 && 'tacocat'.indexOf('', 3) == 3",
    "'ta©o©αT'.indexOf('©', 3) == 4 && 'ta©o©αT'.indexOf('©α', 5) == -1 && 'hello wello'.indexOf('ello', 6) == 7",
    "''.lastIndexOf('@@') == -1 && 'tacocat'.lastIndexOf('') == 7 && 'tacocat'.lastIndexOf('at') == 5 && 'tacocat'.lastIndexOf('a', 3) == 1",
    "'ta©o©αT'.lastIndexOf('©', 3) == 2 && 'bananananana'.lastIndexOf('nana', 7) == 6 && 'hello wello'.lastIndexOf('low') == -1",
    "'TacoCÆt Xii'.lowerAscii() == 'tacocÆt xii' && 'tacoCαt'.upperAscii() == 'TACOCαT'",
    "'{0} days {0} hours'.replace('{0}', '2', 1).replace('{0}', '23') == '2 days 23 hours' && 'abc'.replace('', '-') == '-a-b-c-'",
    "'abc'.replace('', '-', 2) == '-a-bc' && 'aaa'.replace('a', 'b', 0) == 'aaa' && 'aaa'.replace('a', '', -1) == ''",
    "'hello world'.split(' ') == ['hello', 'world'] && 'a b c'.split(' ', 0) == [] && 'a b c'.split(' ', 2) == ['a', 'b c'] && 'ab'.split('') == ['a', 'b']",
    "'tacocat'.substring(4) == 'cat' && 'tacocat'.substring(0, 4) == 'taco' && 'ta©o©αT'.substring(2, 6) == '©o©α' && 'a'.substring(1) == ''",
    "' \\f\\n\\r\\t\\vtext  '.trim() == 'text' && '\\u0085\\u00a0\\u1680text\\u3000'.trim() == 'text' && '\\u180etext\\ufeff'.trim() == '\\u180etext\\ufeff'",
    "['x', 'y'].join() == 'xy' && ['x', 'y'].join('-') == 'x-y' && [].join('-') == ''",
    'strings.quote("first\\nsecond") == "\\"first\\\\nsecond\\"" && strings.quote("\\\\ 😀") == "\\"\\\\\\\\ 😀\\""',
  ],
  'format of strings': [
    "'%%%s%%'.format(['text']) == '%text%' && 'none'.format([]) == 'none' && '%d %d'.format([1, 2]) == '1 2'",
    "'%.3f'.format([1.2345]) == '1.234' && '%f'.format([2.71828]) == '2.718280' && '%.1f'.format([1234567.89]) == '1,234,567.9'",
    "'%b %b %b'.format([dyn(5), uint(64), true]) == '101 1000000 1' && '%o'.format([11]) == '13'",
    "'%x %X %x'.format([dyn(30), 30, 'Hello']) == '1e 1E 48656c6c6f' && '%X'.format([b'byte']) == '62797465'",
    "'%s %s %s'.format([dyn(null), 1u, true]) == 'null 1 true' && '%s'.format([b'xyz']) == 'xyz' && '%s'.format([type('')]) == 'string'",
    "'%s'.format([timestamp('2023-02-03T23:31:20+00:00')]) == '2023-02-03T23:31:20Z' && '%s'.format([duration('1h45m47s')]) == '6347s'",
    "'%s'.format([{'b': 1, 'a': 2}]) == '{\"a\":2, \"b\":1}' && '%d'.format([-9223372036854775808]) == '-9223372036854775808'",
  ],
}

describe.each(Object.entries(holds))('%s', (_area, expressions) => {
  test.each(expressions)('%s', expression => {
    expect(outcome(expression, kubernetesLibraries)).toBe('true')
  })
})

const failures: readonly (readonly [string, string])[] = [
  ['[].min()', 'min called on empty list'],
  ['[].max()', 'max called on empty list'],
  ["'tacocat'.charAt(30)", 'index out of range: 30'],
  ["'tacocat'.indexOf('a', -1)", 'index out of range: -1'],
  ["'tacocat'.substring(40)", 'index out of range: 40'],
  ["'tacocat'.substring(3, 1)", 'invalid substring range. start: 3, end: 1'],
  ["quantity('x')", "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"],
  ["quantity('50m').asInteger()", 'cannot convert value to integer'],
  ["url('../x')", 'URL parse error during conversion from string: parse "../x": invalid URI for request'],
  ["ip('x')", 'IP Address "x" parse error during conversion from string: ParseAddr("x"): unable to parse IP'],
  [
    "cidr('1.2.3.4')",
    'network address parse error during conversion from string: netip.ParsePrefix("1.2.3.4"): no \'/\'',
  ],
  ["'%d'.format([1.5])", 'error during formatting: decimal clause can only be used on integers, was given double'],
  ["'%s %s'.format(['a'])", 'index 1 out of range'],
  // What would be far longer than what it is made of is not made.
  [
    "[1, 2, 3, 4, 5].map(i, 'aaaaaaaaaa'.replace('', 'bbbbbbbbbb')).map(t, t.replace('', t).replace('', t).replace('', t).replace('', t)).size() > 0",
    'operation cancelled: actual cost limit exceeded',
  ],
  ["'%z'.format(['a'])", 'could not parse formatting clause: unrecognized formatting clause "z"'],
]

test.each(failures)('%s fails: %s', (expression, message) => {
  expect(outcome(expression, kubernetesLibraries)).toBe(`error: ${message}`)
})

test('what Kubernetes 1.33 does not give is not there', () => {
  for (const [expression, name] of [
    ["'a'.reverse()", 'reverse'],
    ['[1, 2].distinct()', 'distinct'],
    ['math.greatest(1, 2)', 'math'],
  ] as const) {
    expect(outcome(expression, kubernetesLibraries)).toContain(`undeclared reference to '${name}'`)
  }
})
