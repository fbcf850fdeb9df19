// Puts the program itself in the place of the script bin/act-claude.bin, so that a launch starts nothing else. Where this is not
// possible, the script stays, which works as well. Needs no package, and runs with old versions of Node.
//
// pnpm starts a command through a script of its own, which names the shell that bin/act-claude.bin needed when it was made. So there
// it has to stay a script.
'use strict'

const fs = require('fs')
const path = require('path')

const own = require('./package.json')
const name = own.name + '-' + process.platform + '-' + process.arch
const command = path.join(__dirname, 'bin', 'act-claude.bin')
const prepared = command + '.' + process.pid
const agent = process.env.npm_config_user_agent || ''

// The directory of the package with the program: below this package, or beside it in the node_modules that both lie in. Node itself
// would also search all directories above and some of the user's, where a package of this name can be anybody's. With yarn's
// Plug'n'Play, yarn knows the one that belongs to this package.
function find () {
  if (process.versions.pnp) {
    return path.dirname(require.resolve(name + '/package.json'))
  }
  const places = [path.join(__dirname, 'node_modules', name), path.join(__dirname, '..', path.basename(name))]
  const found = places.filter(function (place) { return fs.existsSync(path.join(place, 'package.json')) })
  if (found.length === 0) {
    throw new Error('the package ' + name + ' is not beside it')
  }
  return found[0]
}

try {
  const directory = find()
  const other = JSON.parse(fs.readFileSync(path.join(directory, 'package.json'), 'utf8'))
  if (other.name !== name || other.version !== own.version) {
    console.error('act-claude: ' + directory + ' is ' + other.name + ' ' + other.version + ', and this package is ' + own.name +
      ' ' + own.version + ': install both in the same version')
    process.exit(1)
  }
  if (agent.startsWith('pnpm') || __dirname.includes(path.sep + '.pnpm' + path.sep)) {
    throw new Error('pnpm needs it')
  }
  const program = path.join(directory, 'act-claude')
  // A running program is never written to: the new file takes the name of the old one.
  try {
    fs.linkSync(program, prepared)
  } catch (error) {
    fs.copyFileSync(program, prepared)
    fs.chmodSync(prepared, 0o755)
  }
  fs.renameSync(prepared, command)
} catch (error) {
  console.error('act-claude: the script ' + command + ' stays in place of the program: ' + error.message.split('\n')[0])
} finally {
  // Is still there where something failed, and where both names already were the same file.
  try {
    fs.unlinkSync(prepared)
  } catch (error) {
    // It is gone.
  }
}
