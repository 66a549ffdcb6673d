"""Fills an empty Tryton database with a small consultancy, ready to sell and to bill.

    python3 seed_tryton.py tryton.conf crm|erp

Both databases get the same company, catalogue and people, in the ERP after customers of its own and
in reverse order: the same thing has another id in each, so that a mix-up of ids shows.
"""
import datetime
import os
import sys
from decimal import Decimal

from trytond.config import config

config.update_etc(sys.argv[1])

from trytond.pool import Pool  # noqa: E402  (reads the configuration when it is loaded)
from trytond.transaction import Transaction  # noqa: E402

YEARS = (2026, 2027)
COUNTRIES = [
    ('Austria', 'AT', 'AUT'), ('France', 'FR', 'FRA'), ('Germany', 'DE', 'DEU'),
    ('Netherlands', 'NL', 'NLD'), ('Switzerland', 'CH', 'CHE'),
    ('United Kingdom', 'GB', 'GBR'), ('United States', 'US', 'USA')]
CURRENCIES = [
    ('Euro', 'EUR', '€', '1'), ('US Dollar', 'USD', '$', '1.08'),
    ('Pound Sterling', 'GBP', '£', '0.85')]
SERVICES = [  # name, code, unit, list price, cost price
    ('Senior consulting', 'CONS-SR', 'Hour', '150', '80'),
    ('Consulting', 'CONS', 'Hour', '95', '52'),
    ('Project management', 'PM', 'Hour', '120', '64'),
    ('Discovery package', 'PKG-DISC', 'Unit', '4800', '2600')]
EMPLOYEES = [
    ('Ana Ruiz', 'ana', '80'), ('Ben Okoye', 'ben', '52'), ('Chloe Martin', 'chloe', '64')]
OLD_CUSTOMERS = ['Beech Logistics AG', 'Cedar Foods BV', 'Dogwood Energy SAS', 'Elm Media Ltd']
GROUPS = [  # all that the connector touches; not the server's administration
    'Account', 'Account Administration', 'Employee Administration', 'Party Administration',
    'Product Administration', 'Project Administration', 'Project Invoice', 'Sales',
    'Sales Administrator', 'Sale Opportunity', 'Timesheet Administration']


def model(name):
    return Pool().get(name)


def create(model_name, **values):
    record, = model(model_name).create([values])
    return record


def only(model_name, *domain):
    record, = model(model_name).search(list(domain))
    return record


def geography():
    for name, code, code3 in COUNTRIES:
        create('country.country', name=name, code=code, code3=code3)
    for name, code, symbol, rate in CURRENCIES:
        create('currency.currency', name=name, code=code, symbol=symbol, rates=[('create', [{
            'date': datetime.date(YEARS[0], 1, 1), 'rate': Decimal(rate)}])])


def company():
    germany = only('country.country', ('code', '=', 'DE'))
    party = create('party.party', name='Northlight Consulting GmbH', addresses=[('create', [{
        'street': 'Lindenallee 4', 'postal_code': '20095', 'city': 'Hamburg',
        'country': germany.id}])])
    euro = only('currency.currency', ('code', '=', 'EUR'))
    return create('company.company', party=party.id, currency=euro.id, timezone='Europe/Berlin')


def chart(company):
    Wizard = Pool().get('account.create_chart', type='wizard')
    data = only('ir.model.data', ('module', '=', 'account'),
        ('fs_id', '=', 'account_template_root_en'))
    session, _, _ = Wizard.create()
    wizard = Wizard(session)
    wizard.account.company = company
    wizard.account.account_template = model('account.account.template')(data.db_id)
    wizard.transition_create_account()
    Account = model('account.account')
    wizard.properties.company = company
    for kind in ('receivable', 'payable'):
        account, = Account.search([
            ('company', '=', company.id), ('type.' + kind, '=', True)], limit=1)
        setattr(wizard.properties, 'account_' + kind, account)
    for category in ('revenue', 'expense'):
        account, = Account.search([
            ('company', '=', company.id), ('type.' + category, '=', True)], limit=1)
        setattr(wizard.properties, 'category_account_' + category, account)
    wizard.transition_create_properties()


def fiscal_years(company):
    def sequence(kind, label, strict):
        return create('ir.sequence.strict' if strict else 'ir.sequence', name=label,
            sequence_type=only('ir.sequence.type', ('name', '=', kind)).id, company=company.id)
    for year in YEARS:
        invoices = sequence('Invoice', 'Invoice %s' % year, True).id
        fiscal_year = create('account.fiscalyear', name=str(year), company=company.id,
            start_date=datetime.date(year, 1, 1), end_date=datetime.date(year, 12, 31),
            post_move_sequence=sequence('Account Move', 'Move %s' % year, False).id,
            invoice_sequences=[('create', [{
                'company': company.id,
                'out_invoice_sequence': invoices, 'out_credit_note_sequence': invoices,
                'in_invoice_sequence': invoices, 'in_credit_note_sequence': invoices}])])
        model('account.fiscalyear').create_period([fiscal_year])


def catalogue(company):
    Account = model('account.account')

    def account(kind):
        return Account.search([('company', '=', company.id), ('type.' + kind, '=', True)],
            limit=1)[0].id
    services = create('product.category', name='Services', accounting=True,
        account_revenue=account('revenue'), account_expense=account('expense'))
    for name, code, unit, price, cost in SERVICES:
        uom = only('product.uom', ('name', '=', unit))
        create('product.template', name=name, code=code, type='service', salable=True,
            default_uom=uom.id, sale_uom=uom.id, list_price=Decimal(price),
            account_category=services.id,
            products=[('create', [{'cost_price': Decimal(cost)}])])


def payment_terms():
    for name, days in [('Immediately', 0), ('30 days net', 30)]:
        create('account.invoice.payment_term', name=name, lines=[('create', [{
            'type': 'remainder', 'relativedeltas': [('create', [{'days': days}])]}])])


def payment_method(company):
    """Invoices are paid by hand, out of the till."""
    cash, = model('account.account').search([
        ('company', '=', company.id), ('type.name', '=', 'Cash')])
    create('account.invoice.payment.method', name='Cash', company=company.id,
        journal=only('account.journal', ('type', '=', 'cash')).id,
        credit_account=cash.id, debit_account=cash.id)


def employees(company):
    for name, login, cost in EMPLOYEES:
        party = create('party.party', name=name, contact_mechanisms=[('create', [{
            'type': 'email', 'value': login + '@northlight.example'}])])
        create('company.employee', party=party.id, company=company.id,
            cost_prices=[('create', [{
                'date': datetime.date(YEARS[0], 1, 1), 'cost_price': Decimal(cost)}])])


def api_user(company):
    employee = model('company.employee').search([], limit=1)[0]
    groups = [only('res.group', ('name', '=', name)).id for name in GROUPS]
    create('res.user', name='Throughline', login=os.environ['TRYTON_USER'],
        password=os.environ['TRYTON_PASSWORD'], companies=[('add', [company.id])],
        company=company.id, employees=[('add', [employee.id])], employee=employee.id,
        groups=[('add', groups)])


def old_customers():
    for name in OLD_CUSTOMERS:
        create('party.party', name=name, addresses=[('create', [{'city': 'Utrecht'}])])


def seed(database):
    if database == 'erp':
        for things in (COUNTRIES, CURRENCIES, SERVICES, EMPLOYEES):
            things.reverse()
    geography()
    if database == 'erp':
        old_customers()
    firm = company()
    with Transaction().set_context(company=firm.id, companies=[firm.id]):
        chart(firm)
        fiscal_years(firm)
        catalogue(firm)
        payment_terms()
        payment_method(firm)
        employees(firm)
        api_user(firm)


def main():
    database = sys.argv[2]
    with Transaction().start(database, 0, readonly=True):
        Pool(database).init()
    with Transaction().start(database, 1) as transaction:
        seed(database)
        transaction.commit()


main()
