# Fills an empty Redmine with what a time tracker has before the first project is sold: trackers,
# statuses, roles, activities, three people who log time, and the custom fields of the connector.
# Run by up.sh: rails runner seed_redmine.rb

Redmine::DefaultData::Loader.load("en")

Setting.rest_api_enabled = "1"
Setting.login_required = "1" # otherwise a wrong key is answered as anonymous, with 200
Setting.default_projects_public = "0"

admin = User.find_by!(login: "admin")
admin.password = admin.password_confirmation = ENV.fetch("REDMINE_PASSWORD")
admin.must_change_passwd = false
admin.mail = "admin@northlight.example"
admin.save!
Token.where(user: admin, action: "api").delete_all
token = Token.create!(user: admin, action: "api")
token.update_column(:value, ENV.fetch("REDMINE_KEY")) # Token makes its own value on create

[%w[ana Ana Ruiz], %w[ben Ben Okoye], %w[chloe Chloe Martin]].each do |login, first, last|
  user = User.new(firstname: first, lastname: last, mail: "#{login}@northlight.example", language: "en")
  user.login = login
  user.password = user.password_confirmation = ENV.fetch("REDMINE_PASSWORD")
  user.save!
end

# Redmine has no approval of time: a list field stands in for it.
TimeEntryCustomField.create!(
  name: "Approval state", field_format: "list", possible_values: %w[submitted approved rejected],
  default_value: "submitted", is_filter: true
)
TimeEntryCustomField.create!(name: "Billable", field_format: "bool", default_value: "1", is_filter: true)
TimeEntryCustomField.create!(name: "External id", field_format: "string", is_filter: true)
IssueCustomField.create!(
  name: "External id", field_format: "string", is_filter: true, is_for_all: true, trackers: Tracker.all
)
ProjectCustomField.create!(name: "External id", field_format: "string", is_filter: true)
