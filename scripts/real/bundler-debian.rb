# Debian keeps most gems without a directory of their own. Bundler since 2.3.27, which a security
# update of Ruby brought to bookworm, takes those for deleted, so that redmine's package cannot be
# configured (no gem can be fetched under --local). install.sh loads this for that one command.
require "bundler"

class Gem::Specification
  def deleted_gem? = false
end
